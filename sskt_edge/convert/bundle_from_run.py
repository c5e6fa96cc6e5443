"""Export a finished run as a bundle: the folder that goes to the device, with proof that its answers are unchanged."""

from __future__ import annotations

import hashlib
import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from pathlib import Path

from sskt_edge.bundle import golden as golden_set
from sskt_edge.bundle.bundle import LOCK, MANIFEST, Bundle, open_bundle
from sskt_edge.bundle.manifest import (
    CALIBRATION_FILE,
    SCHEMA_VERSION,
    Batch,
    FileRecord,
    InputSpec,
    Lineage,
    Manifest,
    PrecisionRecord,
    Tool,
)
from sskt_edge.common.errors import DataError, InputError, MissingExtraError, NetworkError, ParityError
from sskt_edge.common.files import folder_written_whole
from sskt_edge.common.lock import locked
from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.version import __version__
from sskt_edge.convert.check_batches import check_batches
from sskt_edge.convert.evaluation_set import Images, Opened, calibration_list, golden_evaluation_set, open_images
from sskt_edge.convert.measure import Measurements, measure
from sskt_edge.convert.older_bundle import FILES, Kept, Older, announce, find_older, what_stays
from sskt_edge.convert.precisions_from_fp32 import Candidates, precisions_from_fp32
from sskt_edge.convert.torch_process import ask_torch
from sskt_edge.inference.runners import Runner, judge, runners_here
from sskt_edge.targets.finished_run import FinishedRun

_LIBRARIES = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow")
_WORTH_IT = 0.97  # the int8-cpu file is kept only if its time is at most this share of the int8 file's


def bundle_from_run(run: FinishedRun, path: Path | str, progress: Progress = QUIET, *, replace: bool = False) -> Bundle:
    """Export a finished run into a bundle folder at `path`.

    The recipe's [export] says what is made. A precision that is out of tolerance is left out, and the manifest says why
    (`refused`). If the recipe asks for fp32 only and its images are missing, the golden images replace the test set.

    An older bundle of the same run is extended. Precisions that were made from the same fp32 file with the same
    settings stay with their records and are not made again, and neither are the engines that were built from them. The
    reasons for which an earlier export refused a precision that this one does not ask for stay too. The user's own
    files always stay.

    Args:
        run: the run to export.
        path: the bundle's folder.
        progress: draws the bars, and reports which files of an older bundle stay and which are dropped.
        replace: drop the files of an older bundle that do not fit this export; otherwise they are an error.

    Returns:
        The bundle, opened again from disk.

    Raises:
        BundleError: `path` is not a bundle, or is the bundle of another run; or it holds files that would have to be
            dropped, and `replace` is false.
        DataError: the recipe's images are missing, or are not those of the training.
        ParityError: the stripped weights or the fp32 file do not reproduce the network's answers; nothing is written.
        StorageError: the bundle cannot be written; an older one stays intact.

    >>> import sskt_edge
    >>> bundle = sskt_edge.export(sskt_edge.read_run("runs/tiny"), "bundles/new")
    >>> list(bundle.manifest.precisions), bundle.manifest.refused
    (['fp32'], {})
    """
    path = Path(path)
    older = find_older(path, run, replace)
    opened = _open(run, progress)
    fp32, logits = ask_torch(run, None if opened is None else opened.searched, progress)
    images = None if opened is None or logits is None else opened.answered(logits)
    evaluation_set = golden_evaluation_set(run) if images is None else images.test
    check_batches(run, fp32)
    kept = what_stays(older, fp32, run, images, replace)
    announce(kept, path, replace, progress)
    runners = _that_start(runners_here(), run, fp32, progress)
    candidates = precisions_from_fp32(fp32, run, images, runners, progress, kept.records)
    asked = candidates.files | _timed_with(candidates, kept)
    found = measure(asked, evaluation_set, images is not None, runners, run.recipe.export.parity, progress)
    _check_fp32(found["fp32"])
    chosen = _choose(candidates, found, progress)
    new = _files(run, candidates, chosen, images)
    if older is None:
        _write(path, new | {MANIFEST: _manifest(run, candidates, chosen, Kept(), new).as_bytes()}, None)
        return open_bundle(path)
    with _alone(path, progress):
        older = find_older(path, run, replace)  # an engine may have been built into it in the meantime
        kept = what_stays(older, fp32, run, images, replace)
        if not replace and kept.goes:
            announce(kept, path, replace, progress)
        files = kept.files | new
        _write(path, files | {MANIFEST: _manifest(run, candidates, chosen, kept, files).as_bytes()}, older)
    return open_bundle(path)


def _timed_with(candidates: Candidates, kept: Kept) -> dict[str, bytes]:
    """The int8 file that stays, if a new int8-cpu file has to be faster than it."""
    if "int8-cpu" not in candidates.files or "int8" not in kept.records:
        return {}
    return {"int8": kept.files[kept.records["int8"].file]}


def _alone(path: Path, progress: Progress) -> AbstractContextManager[None]:
    """The lock of a bundle. It is not taken on Windows, which does not rename a folder that has an open file."""
    return nullcontext() if os.name == "nt" else locked(path / LOCK, "writes into the bundle", progress)


def _write(path: Path, files: dict[str, bytes], older: Older | None) -> None:
    """Write these files and the user's own files of an older bundle, and replace that bundle with one rename."""
    with folder_written_whole(path) as folder:
        if older is not None:
            older.carry(folder)
        for name, data in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)


def _open(run: FinishedRun, progress: Progress) -> Opened | None:
    """The recipe's images; None if they are missing but not needed."""
    needed = set(run.recipe.export.precisions) - {"fp32"}
    try:
        return open_images(run, progress)
    except (DataError, MissingExtraError) as error:
        if needed:
            raise DataError(
                f"{error} {', '.join(sorted(needed))} cannot be checked without images. Check data.root, or export "
                f"fp32 only: --precision fp32."
            ) from error
        progress.say(f"the test set is missing, so the golden images are used instead: {error}")
        return None


def _that_start(runners: tuple[Runner, ...], run: FinishedRun, fp32: bytes, progress: Progress) -> tuple[Runner, ...]:
    """The runners whose provider starts on this machine; the others say nothing about the files."""
    started = []
    for runner in runners:
        try:
            runner.open(fp32, run.shape, 1)
        except NetworkError:
            pass  # the provider started; its error about the file is recorded later
        except InputError as error:
            progress.say(f"{runner.name} is left out: {error}")
            continue
        started.append(runner)
    return tuple(started)


def _check_fp32(found: Measurements) -> None:
    """Refuse an export whose fp32 file fails on the runner that judges every export."""
    reasons = [reason for reason in found.reasons if reason.startswith(f"{judge().name}: ")]
    if reasons:
        raise ParityError(f"The exported file does not answer as the trained network does: {'; '.join(reasons)}.")


def _choose(candidates: Candidates, found: dict[str, Measurements], progress: Progress) -> dict[str, Measurements]:
    """Choose the files of the bundle; those out of tolerance are added to `candidates.refused`."""
    chosen = {}
    for precision in candidates.files:
        one = found[precision]
        if one.reasons and precision != "fp32":
            candidates.refused[precision] = "; ".join(one.reasons)
        else:
            chosen[precision] = one
    first = None if "int8" in candidates.refused else found.get("int8")
    if first is not None and "int8-cpu" in chosen:
        share = _latency(chosen["int8-cpu"]) / _latency(first)
        if share > _WORTH_IT:
            progress.say(f"no int8-cpu file: on ONNX Runtime's CPU it takes {share:.2f} × the time of int8")
            del chosen["int8-cpu"]
    return chosen


def _latency(found: Measurements) -> float:
    return next((one.latency_ms for one in found.measured if one.runner == judge().name), math.inf)


def _files(
    run: FinishedRun, candidates: Candidates, chosen: dict[str, Measurements], images: Images | None
) -> dict[str, bytes]:
    """The files that this export writes, except the manifest."""
    files = {FILES[precision]: candidates.files[precision] for precision in FILES if precision in chosen}
    files[golden_set.FILE_NAME] = run.folder.golden.read_bytes()
    if images is not None and any(precision in candidates.calibrations for precision in chosen):
        files[CALIBRATION_FILE] = calibration_list(images.hashes)
    return files


def _manifest(
    run: FinishedRun, candidates: Candidates, chosen: dict[str, Measurements], kept: Kept, files: dict[str, bytes]
) -> Manifest:
    records = {name: FileRecord(sha256=_sha256(content), bytes=len(content)) for name, content in files.items()}
    batch = run.recipe.export.batch
    new = {
        precision: PrecisionRecord(
            file=FILES[precision],
            **records[FILES[precision]].model_dump(),
            measured=chosen[precision].measured,
            failed=chosen[precision].failed | candidates.remarks.get(precision, {}),
            calibration=candidates.calibrations.get(precision),
        )
        for precision in FILES
        if precision in chosen
    }
    both = kept.records | new
    precisions = {precision: both[precision] for precision in FILES if precision in both}
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=run.recipe.name,
        created=datetime.fromtimestamp(int(time.time()), timezone.utc),
        tool=Tool(name="sskt-edge", version=__version__),
        lineage=Lineage(
            recipe_sha256=run.result.recipe_sha256,
            data_sha256=run.result.data_sha256,
            unlabelled_sha256=run.result.unlabelled_sha256,
            probe_sha256=run.result.probe_sha256,
            run=run.folder.path.resolve().name,
            weights_sha256=run.weights_sha256,
            onnx_sha256=precisions["fp32"].sha256,
            sources=run.result.sources,
            licenses=run.result.licenses,
        ),
        task=run.task.name,
        input=InputSpec(kind=run.kind, shape=run.shape, batch=Batch(min=batch.min, opt=batch.opt, max=batch.max)),
        classes=list(run.classes),
        target=run.recipe.target.model,
        parameters=run.result.primary.parameters,
        macs=run.result.primary.macs,
        test=run.result.test,
        parity=run.recipe.export.parity,
        precisions=precisions,
        refused=kept.refused | candidates.refused,
        libraries={name: version for name in _LIBRARIES if (version := version_of(name))},
        files=records,
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""A finished run as a bundle: the folder that goes to the device, with the proof that it answers as the network did."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

import sskt_edge
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.errors import BundleError, ParityError
from sskt_edge.runtime import golden as golden_set
from sskt_edge.runtime.backends import BACKENDS
from sskt_edge.runtime.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.runtime.files import folder_written_whole
from sskt_edge.runtime.golden import Golden
from sskt_edge.runtime.machine import version_of
from sskt_edge.runtime.manifest import (
    Batch,
    FileRecord,
    InputSpec,
    Lineage,
    Manifest,
    PrecisionRecord,
    Tolerances,
    Tool,
)
from sskt_edge.runtime.parity import Parity, compare
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.runtime.session import Session, run_batches
from sskt_edge.targets.reference import reference_facts, reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork

_LIBRARIES = ("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow")
_ONNX_FILE = "model.onnx"


def bundle_from_run(run: TrainedNetwork, path: Path | str, progress: Progress = QUIET) -> tuple[Bundle, Parity]:
    """Export a finished run into a bundle folder at `path`; a bundle that stood there is replaced at the very end.

    Returns:
        The bundle, opened again from disk, and its parity with the trained network on the golden images.

    Raises:
        BundleError: `path` is something else than a bundle.
        ParityError: the stripped weights, or the ONNX file, answer otherwise than the network did; nothing is written.
        StorageError: the disk does not take the bundle; an older one is whole.
    """
    path = Path(path)
    if path.exists() and not (path / MANIFEST).is_file():
        raise BundleError(f"'{path}' exists and is no bundle; it is not overwritten. Name another folder: --out DIR.")
    golden = run.golden()
    _check_strip(run, golden, progress)
    with progress.bar("torch to ONNX", 1) as bar:
        onnx_bytes = onnx_bytes_from_run(run)
        bar.advance()
    session, parity = _parity(run, onnx_bytes, golden, progress)
    parity.check(run.recipe.export.parity.fp32_max_abs)
    golden_bytes = run.folder.golden.read_bytes()
    files = {_ONNX_FILE: onnx_bytes, golden_set.FILE_NAME: golden_bytes}
    manifest = _manifest(run, files, session, parity)
    with folder_written_whole(path) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_bytes(manifest.as_bytes())
    return open_bundle(path), parity


def onnx_bytes_from_run(run: TrainedNetwork) -> bytes:
    """The fp32 ONNX file of a run's primary network."""
    export = run.recipe.export
    told = {
        "sskt_edge.version": sskt_edge.__version__,
        "sskt_edge.name": run.recipe.name,
        "sskt_edge.target": run.recipe.target.model,
        "sskt_edge.classes": json.dumps(list(run.classes)),
        "sskt_edge.recipe_sha256": run.result.recipe_sha256,
        "sskt_edge.data_sha256": run.result.data_sha256,
        "sskt_edge.weights_sha256": run.weights_sha256,
    }
    return onnx_from_module(run.network, run.pixels, run.recipe.data.image_size, export.batch.max, told)


def _check_strip(run: TrainedNetwork, golden: Golden, progress: Progress) -> None:
    """The stripped weights, read back, must give the logits that were recorded with the branches on.

    To the bit where libraries and machine are those of the training; else within the parity of fp32.
    """
    now = reference_logits(run.network, run.pixels, golden.images, progress)
    if np.array_equal(now, golden.logits):
        return
    parity = compare(golden.logits, now)
    if run.result.reference != reference_facts() and not parity.reasons(run.recipe.export.parity.fp32_max_abs):
        progress.say(
            f"the stripped weights answer as before stripping within {parity.max_abs:.1e}; not to the bit, since "
            f"torch or the machine is not the one that trained"
        )
        return
    raise ParityError(
        f"The stripped weights do not answer as the network did in training: logits differ by up to "
        f"{parity.max_abs:.3g}. Train again."
    )


def _parity(run: TrainedNetwork, onnx_bytes: bytes, golden: Golden, progress: Progress) -> tuple[Session, Parity]:
    """The ONNX file against the trained network, at batch 1, 3 and the largest."""
    size, largest = run.recipe.data.image_size, run.recipe.export.batch.max
    session = BACKENDS["onnxruntime"](onnx_bytes, size, size, largest, provider="cpu")
    classes = len(run.classes)
    worst = compare(golden.logits, run_batches(session, golden.images, largest, classes, progress))
    for batch in (1, 3):
        few = slice(0, 4 * batch)
        logits = run_batches(session, golden.images[few], batch, classes)
        compare(golden.logits[few], logits).check(run.recipe.export.parity.fp32_max_abs)
    return session, worst


def _manifest(run: TrainedNetwork, files: dict[str, bytes], session: Session, parity: Parity) -> Manifest:
    records = {name: FileRecord(sha256=_sha256(content), bytes=len(content)) for name, content in files.items()}
    size, batch = run.recipe.data.image_size, run.recipe.export.batch
    fp32 = PrecisionRecord(
        file=_ONNX_FILE,
        sha256=records[_ONNX_FILE].sha256,
        bytes=records[_ONNX_FILE].bytes,
        parity={"max_abs": parity.max_abs, "top1_agreement": parity.top1_agreement},
        backend=session.backend,
        provider=session.provider,
        versions=session.versions,
    )
    return Manifest(
        name=run.recipe.name,
        created=datetime.fromtimestamp(int(time.time()), timezone.utc),
        tool=Tool(name="sskt-edge", version=sskt_edge.__version__),
        lineage=Lineage(
            recipe_sha256=run.result.recipe_sha256,
            data_sha256=run.result.data_sha256,
            unlabelled_sha256=run.result.unlabelled_sha256,
            run=run.folder.path.resolve().name,
            weights_sha256=run.weights_sha256,
            onnx_sha256=records[_ONNX_FILE].sha256,
            sources=run.result.sources,
        ),
        input=InputSpec(height=size, width=size, batch=Batch(min=batch.min, opt=batch.opt, max=batch.max)),
        classes=list(run.classes),
        target=run.recipe.target.model,
        parameters=run.result.primary.parameters,
        macs=run.result.primary.macs,
        test=run.result.test,
        parity=Tolerances(fp32_max_abs=run.recipe.export.parity.fp32_max_abs),
        precisions={"fp32": fp32},
        libraries={name: version for name in _LIBRARIES if (version := version_of(name))},
        files=records,
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

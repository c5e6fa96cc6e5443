"""An older bundle in the place of a new export: which files stay, which would be dropped, and which are the user's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sskt_edge.bundle import golden as golden_set
from sskt_edge.bundle.bundle import LOCK, MANIFEST, Bundle, open_bundle
from sskt_edge.bundle.manifest import (
    CALIBRATION_FILE,
    ENGINES,
    Batch,
    Manifest,
    PrecisionName,
    PrecisionRecord,
    run_of,
)
from sskt_edge.common.errors import BundleError
from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import Progress
from sskt_edge.common.version import __version__
from sskt_edge.convert.evaluation_set import Images, calibration_list
from sskt_edge.convert.lint_for_tensorrt import lint_for_tensorrt
from sskt_edge.convert.precisions_from_fp32 import asked_for
from sskt_edge.inference.bundle_engines import look_at_engines
from sskt_edge.targets.finished_run import FinishedRun

FILES: dict[PrecisionName, str] = {
    "fp32": "model.onnx",
    "fp16": "model.fp16.onnx",
    "int8": "model.int8.onnx",
    "int8-cpu": "model.int8-cpu.onnx",
}
_WRITTEN = (*FILES.values(), golden_set.FILE_NAME, CALIBRATION_FILE)
_OF_ENGINES = (".plan", ".json", ".log", ".timing")


@dataclass(frozen=True)
class Older:
    """An older bundle of the same run.

    Attributes:
        path: its folder.
        bundle: the opened bundle; None if it cannot be opened.
        ours: the names of the files that an export wrote; all others are the user's.
    """

    path: Path
    bundle: Bundle | None
    ours: frozenset[str]

    def carry(self, folder: Path) -> None:
        """Put the user's own files into `folder` too, as hard links if the file system supports them."""

        def ours_in(parent: str, names: list[str]) -> list[str]:
            below = Path(parent).relative_to(self.path)
            return [name for name in names if (below / name).as_posix() in self.ours]

        shutil.copytree(self.path, folder, symlinks=True, ignore=ours_in, copy_function=_same_file, dirs_exist_ok=True)
        if (folder / ENGINES).is_dir() and not any((folder / ENGINES).iterdir()):
            (folder / ENGINES).rmdir()


@dataclass(frozen=True)
class Kept:
    """The parts of an older bundle that belong in the new one.

    Attributes:
        records: precision → its record in the manifest; fp32 is not included, since it is always made again.
        files: name → content, for these precisions and the engines that fit.
        goes: one line for each file that cannot stay, with the reason.
        refused: precision → why an earlier export refused it, only for precisions that this export does not ask for.
        outdated: precision → why its earlier refusal does not apply to this fp32 file and these settings.
    """

    records: dict[PrecisionName, PrecisionRecord] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    goes: list[str] = field(default_factory=list)
    refused: dict[PrecisionName, str] = field(default_factory=dict)
    outdated: dict[PrecisionName, str] = field(default_factory=dict)


def find_older(path: Path, run: FinishedRun, replace: bool) -> Older | None:
    """The bundle at `path`; None if nothing exists there.

    Raises:
        BundleError: it is not a bundle, is the bundle of another run, or cannot be opened and `replace` is false; or
            one of the user's files has a name that an export writes.
    """
    if not path.exists():
        return None
    if not (path / MANIFEST).is_file():
        raise BundleError(
            f"'{path}' exists and is not a bundle; it is not overwritten. Name another folder: --out DIR."
        )
    content = (path / MANIFEST).read_bytes()
    other = run_of(content)
    if other is None:
        raise BundleError(
            f"'{path}' has a {MANIFEST} that does not belong to a bundle; it is not overwritten. "
            f"Name another folder: --out DIR."
        )
    if other != run.folder.path.resolve().name:
        raise BundleError(
            f"'{path}' is the bundle of another run, '{other}'; it is not overwritten. Name another folder: --out DIR."
        )
    try:
        bundle = open_bundle(path)
    except BundleError as error:
        if not replace:
            raise BundleError(
                f"'{path}' cannot be opened, so none of its files can be kept: {error} To make all of them again: "
                "--replace; or name another folder: --out DIR."
            ) from error
        return Older(path, None, frozenset({MANIFEST, LOCK, *_WRITTEN, *_listed_engines(content)}))
    ours = frozenset({MANIFEST, LOCK, *bundle.manifest.files})
    if taken := [name for name in _WRITTEN if name not in ours and os.path.lexists(path / name)]:
        raise BundleError(
            f"'{path}' holds {', '.join(taken)}, which is not a file of the bundle, and an export may write a file of "
            "that name. Move it away, or name another folder: --out DIR."
        )
    return Older(path, bundle, ours)


def what_stays(older: Older | None, fp32: bytes, run: FinishedRun, images: Images | None, replace: bool) -> Kept:
    """The parts of an older bundle that are still valid: made from the same fp32 file with the same settings.

    Args:
        older: the older bundle.
        fp32: the new fp32 file.
        run: the run with the settings of this export.
        images: the images that int8 would be calibrated with.
        replace: whether broken engines are dropped too; otherwise they stay as they are.
    """
    kept = Kept()
    if older is None or older.bundle is None:
        return kept
    bundle = older.bundle
    for precision, record in bundle.manifest.precisions.items():
        if precision == "fp32":
            continue
        if reasons := list(_against(bundle, precision, fp32, run, images)):
            kept.goes.append(f"{record.file} ({'; '.join(reasons)})")
            continue
        kept.records[precision] = record
        kept.files[record.file] = bundle.read(record.file)
        if record.calibration is not None and CALIBRATION_FILE in bundle.manifest.files:
            kept.files[CALIBRATION_FILE] = bundle.read(CALIBRATION_FILE)
    asked = asked_for(run.recipe.export)
    for precision in (name for name in bundle.manifest.refused if name not in asked):
        if reasons := list(_settings_against(bundle.manifest, precision, fp32, run)):
            kept.outdated[precision] = "; ".join(reasons)
        else:
            kept.refused[precision] = bundle.manifest.refused[precision]
    hashes: dict[str, str] = {precision: record.sha256 for precision, record in kept.records.items()}
    hashes["fp32"] = hashlib.sha256(fp32).hexdigest()
    batch = Batch(**run.recipe.export.batch.model_dump())
    without = _engines_that_go(bundle, hashes, batch, replace)
    kept.goes.extend(f"{plan} ({why})" for plan, why in without.items())
    stems = {plan.removesuffix(".plan") for plan in without}
    for name in bundle.manifest.files:
        if name.startswith(f"{ENGINES}/") and name.rpartition(".")[0] not in stems:
            kept.files[name] = bundle.read(name)
    return kept


def announce(kept: Kept, path: Path, replace: bool, progress: Progress) -> None:
    """Report which files stay and which are dropped.

    Raises:
        BundleError: a file would have to be dropped, and `replace` is false.
    """
    if kept.goes and not replace:
        raise BundleError(
            f"'{path}' holds files that do not fit this export: {', '.join(kept.goes)}. Nothing was changed. To drop "
            "them and continue: --replace. To keep them: name another folder, --out DIR, or export with the settings "
            "that they were made with."
        )
    if kept.goes:
        progress.say(f"dropped from '{path}': {', '.join(kept.goes)}")
    if kept.files:
        progress.say(f"kept in '{path}': {', '.join(kept.files)}")
    for precision, why in kept.outdated.items():
        progress.say(f"'{path}' no longer says why {precision} was refused ({why})")


def _against(
    bundle: Bundle, precision: PrecisionName, fp32: bytes, run: FinishedRun, images: Images | None
) -> Iterator[str]:
    """Why a precision of an older bundle cannot stay."""
    manifest, asked = bundle.manifest, run.recipe.export
    yield from _settings_against(manifest, precision, fp32, run)
    kind = _kind(precision)
    if kind not in asked.precisions:
        return
    if kind == "int8" and images is not None:
        hashes = bundle.read(CALIBRATION_FILE) if CALIBRATION_FILE in manifest.files else b""
        if hashes != calibration_list(images.hashes):
            yield f"calibrated with {len(hashes.splitlines())} images, now with {len(images.hashes)}, or other images"
    if (
        "tensorrt" in asked.devices
        and precision != "int8-cpu"
        and lint_for_tensorrt(bundle.read(manifest.precisions[precision].file))
    ):
        yield "TensorRT would refuse it"


def _settings_against(manifest: Manifest, precision: PrecisionName, fp32: bytes, run: FinishedRun) -> Iterator[str]:
    """Why a manifest's entry for a precision, made or refused, does not apply to this fp32 file and these settings."""
    if hashlib.sha256(fp32).hexdigest() != manifest.lineage.onnx_sha256:
        yield f"made from another fp32 file: {_what_differs(manifest)}"
    before, now = manifest.parity.model_dump(), run.recipe.export.parity.model_dump()
    for key in before:
        if key.startswith(f"{_kind(precision)}_") and before[key] != now[key]:
            yield f"export.parity.{key} was {before[key]:g}, now {now[key]:g}"


def _kind(precision: PrecisionName) -> str:
    """The precision's name in a recipe: "int8-cpu" is a second int8 file."""
    return precision.partition("-")[0]


def _what_differs(manifest: Manifest) -> str:
    """Say that the fp32 file differs, and which versions changed since the last export.

    They need not be the cause: the run may have been trained again, and a kept file is older than the last export.
    """
    versions: dict[str, tuple[str, str | None]] = {"sskt-edge": (manifest.tool.version, __version__)}
    versions |= {name: (before, version_of(name)) for name, before in manifest.libraries.items()}
    changed = [f"{name} was {before}, now {now}" for name, (before, now) in versions.items() if before != now]
    return "its content differs" + (f"; at the last export, {', '.join(changed)}" if changed else "")


def _engines_that_go(bundle: Bundle, hashes: Mapping[str, str], batch: Batch, broken_too: bool) -> dict[str, str]:
    """Plan → reason, for the plans that no longer fit the precisions' files or the batch."""
    found = look_at_engines(bundle)
    goes = {}
    for plan, sidecar in found.whole:
        if hashes.get(sidecar.network) != sidecar.onnx_sha256:
            goes[plan] = f"built from a {sidecar.network} file that is dropped"
        elif sidecar.batch != batch:
            before, now = (f"{one.min} to {one.max}, best {one.opt}" for one in (sidecar.batch, batch))
            goes[plan] = f"built for batches of {before}, not {now}"
    return goes | (dict.fromkeys(found.broken, "broken") if broken_too else {})


def _listed_engines(content: bytes) -> list[str]:
    """The engines' files that an untrusted manifest lists; any other name in it may be that of a user's file.

    The manifest is known to be JSON.
    """
    files = json.loads(content).get("files")
    names = files if isinstance(files, dict) else ()
    return [name for name in names if name.startswith(f"{ENGINES}/") and name.endswith(_OF_ENGINES)]


def _same_file(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)

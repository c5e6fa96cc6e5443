"""Export a run or a bundle, and print the result."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sskt_edge.bundle.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.cli.output import show, show_json
from sskt_edge.cli.precision_table import by_sentence, rows_from_manifest, show_precisions
from sskt_edge.common.errors import InputError
from sskt_edge.common.progress import Progress
from sskt_edge.common.seal import unprotected
from sskt_edge.common.shell import command
from sskt_edge.common.text import first_of
from sskt_edge.inference.backends.tensorrt import flavours

if TYPE_CHECKING:
    from sskt_edge.inference.backends.tensorrt.build import Built

_MOST_LAYERS = 6  # layer names shown on a line; the manifest lists all


class ExportRequest(NamedTuple):
    """The options of the command line; None or empty for those that were not given."""

    precision: tuple[str, ...] | None
    device: tuple[str, ...] | None
    trt: bool
    flavour: str | None
    compute_capability: tuple[str, ...]
    triton: Path | None
    set_: tuple[str, ...]
    replace: bool
    out: Path | None
    runs: Path | None

    def said(self, *names: str) -> str:
        """The options among `names` that were given, as they are spelled on the command line."""
        given = [name for name in names if getattr(self, name) not in (None, (), False)]
        return ", ".join(f"--{name.strip('_').replace('_', '-')}" for name in given)


def bundle_of(what: Path | None, request: ExportRequest, progress: Progress) -> tuple[Bundle, bool, list[str]]:
    """The bundle to work on, whether it was just made from a run, and a note for each origin without its own hash.

    Raises:
        InputError: options that have no effect here, or an unknown TensorRT flavour.
        MissingExtraError: engines are requested, but TensorRT is not installed.
    """
    if not request.trt and (said := request.said("flavour", "compute_capability")):
        raise InputError(
            f"{said} has no effect without --trt, which builds TensorRT engines. Add --trt, or leave it out."
        )
    if what is not None and (what / MANIFEST).is_file():
        _check_for_bundle(what, request)
        opened = open_bundle(what)
        return opened, False, [] if opened.manifest.is_protected else [unprotected(f"'{what / MANIFEST}'")]
    if request.trt:
        flavours.choose(request.flavour)  # check it before anything is made
    bundle, notes = _of_run(what, request, progress)
    return bundle, True, notes


def _check_for_bundle(path: Path, request: ExportRequest) -> None:
    """Refuse options that only an export of the bundle's run could honour."""
    said = request.said("device", "set_", "replace", "out", "runs", *([] if request.trt else ["precision"]))
    if said or not (request.trt or request.triton):
        raise InputError(
            f"'{path}' is a bundle. It can only get engines (--trt) or be written as a model repository "
            f"(--triton DIR); got {said or 'neither option'}. To change anything else, export its run: "
            f"sskt-edge export RUN."
        )


def _of_run(what: Path | None, request: ExportRequest, progress: Progress) -> tuple[Bundle, list[str]]:
    from sskt_edge.convert.bundle_from_run import bundle_from_run
    from sskt_edge.recipe.export_options import with_options
    from sskt_edge.targets.finished_run import read_finished
    from sskt_edge.targets.run_layout import find_newest_run

    path = what or find_newest_run(request.runs or Path("runs"))
    if what is None:
        progress.say(f"exporting the newest run, {path}")
    run = read_finished(path)
    recipe = with_options(run.recipe, request.precision, request.device, request.set_)
    if request.trt and "tensorrt" not in recipe.export.devices:
        raise InputError(
            f"--trt builds TensorRT engines, but this export is for {', '.join(recipe.export.devices) or 'nothing'} "
            f"only. Set --device cpu,tensorrt, or leave --trt out."
        )
    notes = run.folder.unprotected(run.folder.result)
    out = request.out or Path("bundles") / path.resolve().name
    made = bundle_from_run(dataclasses.replace(run, recipe=recipe), out, progress, replace=request.replace)
    return made, notes


def engines_into(
    bundle: Bundle, request: ExportRequest, made: bool, progress: Progress
) -> tuple[Bundle, dict[str, Built]]:
    """Build the requested engines; for a bundle that was just made, only for precisions that were not refused."""
    from sskt_edge.inference.bundle_engines import build_engines

    wanted = request.precision
    if wanted is not None and made:
        wanted = tuple(name for name in wanted if name in bundle.manifest.precisions)
    return build_engines(bundle, wanted, request.flavour, request.compute_capability, progress)


def show_exported(
    bundle: Bundle, built: dict[str, Built], models: list[str], made: bool, notes: list[str], took: str, json_: bool
) -> None:
    """Print the contents of the bundle, and the notes on its origin."""
    manifest = bundle.manifest
    if json_:
        told = {"engines": sorted(built), "triton": models, "notes": notes}
        show_json(
            {"bundle": str(bundle.path), "failures": manifest.failures, **told, **manifest.model_dump(mode="json")}
        )
        return
    rows: dict[str, str] = {}
    if made:
        one = manifest.precisions["fp32"].measured[0]
        test = "the whole test set" if manifest.test and one.images == manifest.test.images else "the golden images"
        show_precisions(f"{manifest.name}, {one.images:,} images, {test}", rows_from_manifest(manifest), manifest.task)
        rows |= _calibrations(bundle)
        unsure = by_sentence(
            (f"{precision} {one.runner}", one.undecided)
            for precision, record in manifest.precisions.items()
            for one in record.measured
        )
        rows |= {f"too few {number}": line for number, line in enumerate(unsure, 1)}
        rows |= {f"NO {number}": line for number, line in enumerate(manifest.failures, 1)}
    for precision, one_built in built.items():
        rows[f"engine {precision}"] = _engine(one_built)
    if models:
        rows["triton"] = f"models {', '.join(models)}"
    rows |= {f"note {number}" if number > 1 else "note": line for number, line in enumerate(notes, 1)}
    rows["bundle"] = str(bundle.path)
    verb = "exported" if made else "built engines for" if built else "wrote a model repository for"
    further = [command("eval", bundle.path)]
    if made and not built:
        further.append(command("export", bundle.path, "--trt"))
    show(f"{verb} {manifest.name} in {took}", rows, further)


def _calibrations(bundle: Bundle) -> dict[str, str]:
    rows: dict[str, str] = {}
    for precision, record in bundle.manifest.precisions.items():
        if (found := record.calibration) is not None:
            kept = f"{len(found.kept)} of {found.layers} layers in fp32" if found.kept else f"all {found.layers} layers"
            which = f": {first_of(found.kept, _MOST_LAYERS)}" if found.kept else ""
            rows[precision] = f"{kept}{which}; {found.method} of {found.images:,} training images"
    return rows


def _engine(built: Built) -> str:
    sidecar = built.sidecar
    place = sidecar.gpu or f"compute capability {', '.join(sidecar.compute_capabilities) or '8.0 and later'}"
    return (
        f"{len(built.plan) / 1e6:.2f} MB in {built.seconds:.1f} s, {sidecar.flavour} {sidecar.version}, {place}; "
        f"batch {sidecar.batch.min} to {sidecar.batch.max}"
    )


def words_of(text: str | None) -> tuple[str, ...] | None:
    """The items of a comma-separated list; None if the option was not given."""
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())

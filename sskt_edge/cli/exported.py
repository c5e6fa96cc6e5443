"""What export does with a run or a bundle, and what it prints of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sskt_edge.cli.output import show, show_json
from sskt_edge.cli.precision_table import rows_from_manifest, show_precisions
from sskt_edge.errors import InputError
from sskt_edge.runtime.bundle import MANIFEST, Bundle, open_bundle
from sskt_edge.runtime.progress import Progress

if TYPE_CHECKING:
    from sskt_edge.runtime.backends.tensorrt.build import Built

_MOST_LAYERS = 6  # names of layers in a line; the manifest has all


class Engines(NamedTuple):
    """Which engines to build: by which TensorRT, for which GPUs; the defaults where nothing is said."""

    flavour: str | None
    compute_capabilities: tuple[str, ...]


def bundle_of(
    what: Path | None,
    runs: Path,
    out: Path | None,
    precision: str | None,
    device: str | None,
    set_: Sequence[str],
    adds: bool,
    progress: Progress,
) -> tuple[Bundle, bool]:
    """The bundle to go on with, and whether it has just been made of a run."""
    if what is not None and (what / MANIFEST).is_file():
        refused = [name for name, given in (("--device", device), ("--set", set_), ("--out", out)) if given]
        if not adds or refused:
            raise InputError(
                f"'{what}' is a bundle. Engines can be built into it, --trt, and a model repository be made of it, "
                f"--triton DIR; not {', '.join(refused) or 'without either'}. What else it holds comes from its run: "
                f"sskt-edge export RUN."
            )
        return open_bundle(what), False
    with progress.bar("load torch", 1):
        from sskt_edge.convert.bundle_from_run import bundle_from_run
        from sskt_edge.convert.export_options import with_options
        from sskt_edge.targets.run_folder import find_newest_run, read_run
    path = what or find_newest_run(runs)
    if what is None:
        progress.say(f"exporting the newest run, {path}")
    run = read_run(path)
    run = replace(run, recipe=with_options(run.recipe, _words(precision), _words(device), set_))
    return bundle_from_run(run, out or Path("bundles") / path.resolve().name, progress), True


def engines_into(
    bundle: Bundle, precision: str | None, made: bool, engines: Engines, progress: Progress
) -> tuple[Bundle, dict[str, Built]]:
    """Build the engines that were asked for; of a bundle just made, those of precisions that were not refused."""
    from sskt_edge.runtime.engines import build_engines

    asked = [name for name in _words(precision) or () if not made or name in bundle.manifest.precisions]
    return build_engines(bundle, asked, engines.flavour, engines.compute_capabilities, progress)


def show_exported(
    bundle: Bundle, built: dict[str, Built], models: list[str], made: bool, took: str, json_: bool
) -> None:
    """Print what the bundle holds."""
    manifest = bundle.manifest
    if json_:
        told = {"engines": sorted(built), "triton": models}
        show_json({"bundle": str(bundle.path), "marks": manifest.marks, **told, **manifest.model_dump(mode="json")})
        return
    rows: dict[str, str] = {}
    if made:
        one = manifest.precisions["fp32"].measured[0]
        test = "the whole test set" if manifest.test and one.images == manifest.test.images else "the golden images"
        show_precisions(f"{manifest.name}, {one.images:,} images, {test}", rows_from_manifest(manifest))
        rows |= _calibrations(bundle)
        rows |= {f"NO {number}": line for number, line in enumerate(manifest.marks, 1)}
    for precision, one_built in built.items():
        rows[f"engine {precision}"] = _engine(one_built)
    if models:
        rows["triton"] = f"models {', '.join(models)}"
    rows["bundle"] = str(bundle.path)
    verb = "exported" if made else "built engines of" if built else "wrote a model repository of"
    further = [f"sskt-edge eval {bundle.path}"]
    if made and not built:
        further.append(f"sskt-edge export {bundle.path} --trt    # TensorRT engines")
    show(f"{verb} {manifest.name} in {took}", rows, further)


def _calibrations(bundle: Bundle) -> dict[str, str]:
    rows: dict[str, str] = {}
    for precision, record in bundle.manifest.precisions.items():
        if (found := record.calibration) is not None:
            kept = f"{len(found.kept)} of {found.layers} layers in fp32" if found.kept else f"all {found.layers} layers"
            names = ", ".join(found.kept[:_MOST_LAYERS]) + (", …" if len(found.kept) > _MOST_LAYERS else "")
            which = f": {names}" if found.kept else ""
            rows[precision] = f"{kept}{which}; {found.method} of {found.images:,} training images"
    return rows


def _engine(built: Built) -> str:
    sidecar = built.sidecar
    place = sidecar.gpu or f"compute capability {', '.join(sidecar.compute_capabilities) or '8.0 and later'}"
    return (
        f"{len(built.plan) / 1e6:.2f} MB in {built.seconds:.1f} s, {sidecar.flavour} {sidecar.version}, {place}; "
        f"batch {sidecar.batch.min} to {sidecar.batch.max}"
    )


def _words(text: str | None) -> tuple[str, ...] | None:
    """A list with commas; None if nothing was said."""
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())

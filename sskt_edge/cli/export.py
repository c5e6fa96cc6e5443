"""sskt-edge export: a run becomes a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, short_time, show, show_json


def export(
    run: Annotated[Path | None, typer.Argument(help="A finished run; the newest one if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="The bundle's folder; bundles/<run> if left out.")] = None,
    runs: Annotated[Path, typer.Option(help="Where runs lie.")] = Path("runs"),
    json_: JsonFlag = False,
) -> None:
    """Export a run's stripped network to ONNX, in a bundle with the proof that it answers the same."""
    from sskt_edge.runtime.progress import QUIET

    start = time.monotonic()
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):
        from sskt_edge.convert.bundle_from_run import bundle_from_run
        from sskt_edge.targets.run_folder import find_newest_run, read_run
    path = run or find_newest_run(runs)
    if run is None:
        progress.say(f"exporting the newest run, {path}")
    trained = read_run(path)
    bundle, parity = bundle_from_run(trained, out or Path("bundles") / path.resolve().name, progress)
    record = bundle.manifest.precisions["fp32"]
    if json_:
        show_json({"bundle": str(bundle.path), "parity": parity.as_json(), **bundle.manifest.model_dump(mode="json")})
        return
    allowed = trained.recipe.export.parity.fp32_max_abs
    rows = {
        "parity": f"{record.backend} against torch on {parity.images} test images: logits differ by "
        f"{parity.max_abs:.1e} at most (allowed {allowed:.0e}), {parity.top1_agreement:.2%} same class",
        record.file: f"fp32, {record.bytes / 1e6:.2f} MB",
        "bundle": str(bundle.path),
    }
    title = f"exported {bundle.manifest.name} in {short_time(time.monotonic() - start)}"
    show(title, rows, [f"sskt-edge eval {bundle.path}"])

"""sskt-edge export: a run becomes a bundle, a bundle gets engines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, short_time


def export(
    what: Annotated[
        Path | None, typer.Argument(metavar="[RUN|BUNDLE]", help="A finished run, the newest if left out; or a bundle.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of fp32, fp16, int8, with commas; else what the recipe says. fp32 always is.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="What int8 is for, cpu or tensorrt, with commas; else what the recipe says.")
    ] = None,
    trt: Annotated[
        bool, typer.Option("--trt", help="Build TensorRT engines into the bundle, of each precision.")
    ] = False,
    flavour: Annotated[
        str | None, typer.Option(help="tensorrt or tensorrt_rtx; else what fits this machine.", show_default=False)
    ] = None,
    compute_capability: Annotated[
        list[str] | None, typer.Option(help="Of a GPU to build for ahead of time, such as 8.9; repeatable.")
    ] = None,
    triton: Annotated[
        Path | None, typer.Option(help="Write a model repository of the Triton Inference Server to this new folder.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Lay a value over the recipe's: export.* or data.root."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The bundle's folder; bundles/<run> if left out.")] = None,
    runs: Annotated[Path, typer.Option(help="Where runs lie.")] = Path("runs"),
    json_: JsonFlag = False,
) -> None:
    """Export a run's stripped network to ONNX in every precision, with the proof that each answers the same."""
    from sskt_edge.cli.exported import Engines, bundle_of, engines_into, show_exported
    from sskt_edge.runtime.progress import QUIET
    from sskt_edge.runtime.triton import triton_from_bundle

    start = time.monotonic()
    progress = QUIET if json_ else Bars()
    engines = Engines(flavour, tuple(compute_capability or ()))
    bundle, made = bundle_of(what, runs, out, precision, device, set_ or [], trt or triton is not None, progress)
    bundle, built = engines_into(bundle, precision, made, engines, progress) if trt else (bundle, {})
    models = [] if triton is None else triton_from_bundle(bundle, triton)
    show_exported(bundle, built, models, made, short_time(time.monotonic() - start), json_)
    raise typer.Exit(1 if made and bundle.manifest.marks else 0)

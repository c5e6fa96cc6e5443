"""sskt-edge export: a run becomes a bundle, a bundle gets engines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag
from sskt_edge.common.text import short_time


def export(
    what: Annotated[
        Path | None, typer.Argument(metavar="[RUN|BUNDLE]", help="A finished run, the newest if left out; or a bundle.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of fp32, fp16, int8, with commas; else what the recipe says. fp32 always is.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu: a second int8 file where ONNX Runtime is faster with it. tensorrt: only what TensorRT takes. "
            "With commas; else what the recipe says."
        ),
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
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Drop what an older bundle of this run holds and this export does not fit, engines included; "
            "what still fits stays in any case.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The bundle's folder; bundles/<run> if left out.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Where runs lie; runs/ if left out.")] = None,
    json_: JsonFlag = False,
) -> None:
    """Export a run's stripped network to ONNX in every precision, with the proof that each answers the same."""
    from sskt_edge.cli.exported import ExportRequest, bundle_of, engines_into, show_exported, words_of
    from sskt_edge.common.errors import SsktEdgeError
    from sskt_edge.common.progress import Notes
    from sskt_edge.inference.triton import triton_from_bundle

    start = time.monotonic()
    said = Notes()  # on a terminal the bars say it
    progress = said if json_ else Bars()
    request = ExportRequest(
        precision=words_of(precision),
        device=words_of(device),
        trt=trt,
        flavour=flavour,
        compute_capability=tuple(compute_capability or ()),
        triton=triton,
        set_=tuple(set_ or ()),
        replace=replace,
        out=out,
        runs=runs,
    )
    bundle, made, notes = bundle_of(what, request, progress)
    try:
        bundle, built = engines_into(bundle, request, made, progress) if trt else (bundle, {})
        models = [] if triton is None else triton_from_bundle(bundle, triton)
    except SsktEdgeError:
        if made and not json_:  # what was exported is there all the same
            show_exported(bundle, {}, [], made, notes, short_time(time.monotonic() - start), json_)
        raise
    show_exported(bundle, built, models, made, notes + said.lines, short_time(time.monotonic() - start), json_)
    raise typer.Exit(1 if made and bundle.manifest.failures else 0)

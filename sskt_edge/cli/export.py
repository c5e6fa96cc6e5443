"""sskt-edge export: export a run to a bundle, or build engines into a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag
from sskt_edge.common.text import short_time


def export(
    what: Annotated[
        Path | None, typer.Argument(metavar="[RUN|BUNDLE]", help="A finished run (default: the newest) or a bundle.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="fp32, fp16, int8, separated by commas (default: the recipe's). fp32 is always exported."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="cpu: add a second int8 file if ONNX Runtime is faster with it. tensorrt: export only what TensorRT "
            "accepts. Separated by commas (default: the recipe's)."
        ),
    ] = None,
    trt: Annotated[
        bool, typer.Option("--trt", help="Build a TensorRT engine for each precision into the bundle.")
    ] = False,
    flavour: Annotated[
        str | None,
        typer.Option(help="tensorrt or tensorrt_rtx (default: the one that fits this machine).", show_default=False),
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(help="Build ahead of time for a GPU of this compute capability, such as 8.9; repeatable."),
    ] = None,
    triton: Annotated[
        Path | None, typer.Option(help="Write a model repository for the Triton Inference Server to this new folder.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe value: export.* or data.root; repeatable."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Delete the files of an older bundle of this run that do not match this export, engines included. "
            "Files that still match are kept in any case.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The bundle's folder (default: bundles/<run>).")] = None,
    runs: Annotated[Path | None, typer.Option(help="The folder of the runs (default: runs/).")] = None,
    json_: JsonFlag = False,
) -> None:
    """Export a run to ONNX in every precision. Each file is checked against the trained network."""
    from sskt_edge.cli.exported import ExportRequest, bundle_of, engines_into, show_exported, words_of
    from sskt_edge.common.errors import SsktEdgeError
    from sskt_edge.common.progress import Notes
    from sskt_edge.inference.triton import triton_from_bundle

    start = time.monotonic()
    said = Notes()  # without --json, the bars show these lines
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
        if made and not json_:  # the export itself succeeded
            show_exported(bundle, {}, [], made, notes, short_time(time.monotonic() - start), json_)
        raise
    show_exported(bundle, built, models, made, notes + said.lines, short_time(time.monotonic() - start), json_)
    raise typer.Exit(1 if made and bundle.manifest.failures else 0)

"""sskt-edge eval: does a bundle answer here as the trained network did, and how right is it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.cli.output import Bars, JsonFlag, show_json


def evaluate(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle; the newest one here or in bundles/ if left out.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Test images, a folder of classes or a table; the golden ones if left out."),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Only fp32, fp16, int8 or int8-cpu; all if left out.")] = None,
    backend: Annotated[
        str | None, typer.Option(help=f"Only one of {', '.join(BACKENDS)}; all installed ones if left out.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Run only on cpu, cuda or tensorrt; on all if left out.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one run; 0 leaves the number to the library.")] = 0,
    trust_engines: Annotated[
        bool, typer.Option("--trust-engines", help="Open engines that this machine did not build. They are programs.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="data.table.KEY: which column of a table is what; repeatable."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip unreadable images and count them.")] = False,
    json_: JsonFlag = False,
) -> None:
    """Evaluate a bundle on this machine; exit code 1 if it does not answer as the trained network did."""
    from sskt_edge.bundle.bundle import find_newest_bundle, open_bundle
    from sskt_edge.cli.evaluation import show_evaluation
    from sskt_edge.common.errors import InputError
    from sskt_edge.common.progress import QUIET
    from sskt_edge.evaluation.evaluate import evaluate as evaluate_golden
    from sskt_edge.evaluation.evaluate import evaluate_data
    from sskt_edge.evaluation.labelled_files import table_options
    from sskt_edge.inference.open_sessions import open_sessions

    progress = QUIET if json_ else Bars()
    path = bundle or find_newest_bundle()
    if bundle is None:
        progress.say(f"evaluating the newest bundle, {path}")
    table = table_options(set_ or ())
    if set_ and data is None:
        raise InputError("--set says which column of a table is what, and no table is read. Name it: --data FILE.")
    opened = open_bundle(path)
    openings = open_sessions(opened, precision, backend, provider, threads, trust_engines)
    if data is None:
        report = evaluate_golden(opened, openings, progress)
    else:
        report = evaluate_data(opened, openings, data, table, skip_bad, progress)
    if json_:
        show_json(report)
    else:
        options = {"precision": precision, "backend": backend, "provider": provider, "threads": threads}
        show_evaluation(opened, report, {**options, "trust_engines": trust_engines})
    raise typer.Exit(0 if report.passed else 1)

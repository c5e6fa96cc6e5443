"""sskt-edge eval: check that a bundle agrees with the trained network on this machine, and score it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.catalogue.backends import BACKENDS, provider_names
from sskt_edge.cli.output import Bars, JsonFlag, show_json


def evaluate(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle (default: the newest one here or in bundles/).")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Test images: a folder of class folders or a table (default: the golden images)."),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Only fp32, fp16, int8 or int8-cpu (default: all).")] = None,
    backend: Annotated[
        str | None, typer.Option(help=f"Only one of {', '.join(BACKENDS)} (default: all that are installed).")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help=f"Run only on one of {', '.join(provider_names())} (default: all).")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads per run; 0 lets the library choose.")] = 0,
    trust_engines: Annotated[
        bool,
        typer.Option(
            "--trust-engines", help="Open engines that this machine did not build. An engine can run any code."
        ),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set data.table.KEY: the role of a column in a table; repeatable."
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Skip unreadable images and count them.")] = False,
    json_: JsonFlag = False,
) -> None:
    """Evaluate a bundle on this machine. The exit code is 1 if it does not agree with the trained network."""
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
        raise InputError("--set assigns the columns of a table, but no table is read. Name the table: --data FILE.")
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

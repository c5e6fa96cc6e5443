"""sskt-edge bench: measure how fast a bundle runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.catalogue.backends import BACKENDS, provider_names
from sskt_edge.cli.output import Bars, JsonFlag, given, show_json


def bench(
    bundle: Annotated[
        Path | None, typer.Argument(help="A bundle (default: the newest one here or in bundles/).")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Only fp32, fp16, int8 or int8-cpu (default: all).")] = None,
    backend: Annotated[
        str | None, typer.Option(help=f"Only one of {', '.join(BACKENDS)} (default: all that are installed).")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help=f"Run only on one of {', '.join(provider_names())} (default: all).")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=0, help="Threads of a CPU run, pinned to that many cores; 0 = all cores, no pinning.")
    ] = 0,
    trust_engines: Annotated[
        bool,
        typer.Option(
            "--trust-engines", help="Open engines that this machine did not build. An engine can run any code."
        ),
    ] = False,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Images per run; repeatable (default: 1 and the bundle's own batch sizes)."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="Limit for the total time, in seconds (default: 45).")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Measure exactly this many runs of each session, however long they take.")
    ] = None,
    publishable: Annotated[
        bool,
        typer.Option(
            "--publishable",
            help="The long form, for figures to publish: each measurement takes at least 60 s, and at least 1,024 "
            "runs of one image or 24,576 images in larger batches, the minimums of MLPerf Inference v0.5. The expected "
            "time is printed first.",
        ),
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """Measure the latency and throughput of a bundle. It takes less than a minute.

    Ctrl-C stops it and shows the results so far.
    """
    from sskt_edge.bundle.bundle import find_newest_bundle, open_bundle
    from sskt_edge.cli.bench_table import show_benchmark
    from sskt_edge.common.progress import QUIET
    from sskt_edge.evaluation.bench_bundle import bench_bundle
    from sskt_edge.evaluation.effort import effort_of

    effort = effort_of(seconds, runs, publishable)
    progress = QUIET if json_ else Bars()
    path = bundle or find_newest_bundle()
    if bundle is None:
        progress.say(f"measuring the newest bundle, {path}")
    opened = open_bundle(path)
    for note in opened.notes:
        progress.say(note)
    found = bench_bundle(opened, precision, backend, provider, threads, trust_engines, batch or (), effort, progress)
    if json_:
        show_json({**found.as_json(), "notes": opened.notes})
    else:
        same = given(
            precision=precision, backend=backend, provider=provider, threads=threads, trust_engines=trust_engines
        )
        show_benchmark(found, path, same)
    if found.stopped:
        raise typer.Exit(128 + found.stopped)

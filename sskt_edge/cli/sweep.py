"""sskt-edge sweep: find the recipe values that are best on validation images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, SetOption, given, show, show_json
from sskt_edge.common.shell import command


def sweep(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2,…",
            help="A key and its values; repeatable. By default: method.temperature=1,2,3 and "
            "method.alpha=0.1,0.5,1.0,3.0.",
        ),
    ] = None,
    sampler: Annotated[str, typer.Option(help="grid tries every point; tpe tries --trials points.")] = "grid",
    trials: Annotated[int | None, typer.Option(help="Number of trials that tpe makes (default: 20).")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training runs per point; their mean is compared.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An SQL database that machines share, such as postgresql://… (default: an SQLite file)."
        ),
    ] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="The name of the sweep in its storage.")] = None,
    set_: SetOption = None,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed; each further seed is one larger.")] = 0,
    studies: Annotated[Path, typer.Option("--studies", "--out", help="The folder for studies.")] = Path("studies"),
    json_: JsonFlag = False,
) -> None:
    """Search values for a recipe's keys. Validation images decide; the test set is never read."""
    from sskt_edge.cli.study_tables import show_study
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked
    from sskt_edge.study.base import refuse_seed

    refuse_seed(set_ or (), "--set")
    loaded = load_checked(recipe, set_ or ())
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):  # takes seconds; mistakes in the recipe were reported before
        from sskt_edge.study.space import DEFAULT_SPACE, parse_space
        from sskt_edge.study.sweep import sweep as sweep_space
        from sskt_edge.training.memory import keep_freed_memory
    keep_freed_memory()
    searched = parse_space(space or DEFAULT_SPACE)
    over = range(first_seed, first_seed + seeds)
    found = sweep_space(loaded, searched, over, sampler, trials, storage, study, studies, progress)
    if json_:
        show_json(found)
        return
    show_study(found.title(), [(found.head(), found.rows())], found.notes)
    best = found.folder / "best.toml"
    rows = {name: str(found.folder / f"sweep.{name}") for name in ("md", "json", "png")} | {"recipe": str(best)}
    elsewhere = studies if studies != Path("studies") else None
    further = command("compare", best, *given(seeds=5, studies=elsewhere))
    show("swept", rows if found.best else {}, [further] if found.best else [])

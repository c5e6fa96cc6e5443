"""sskt-edge compare: compare methods over the same seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.cli.output import Bars, JsonFlag, SetOption, given, recipe_word, show, show_json
from sskt_edge.common.shell import command


def compare(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds; a difference needs at least five.")] = 5,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help=f"An arm: {', '.join(METHODS)}, or, from published weights, finetuned or finetuned+METHOD; "
            "repeatable (default: scratch and the recipe's method)."
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: KEY=VALUE …'", help="Add an arm: this recipe with changes; repeatable."),
    ] = None,
    set_: SetOption = None,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed; each further seed is one larger.")] = 0,
    studies: Annotated[Path, typer.Option("--studies", "--out", help="The folder for studies.")] = Path("studies"),
    json_: JsonFlag = False,
) -> None:
    """Compare methods over seeds. All arms have the same data and views; differences are given with intervals.

    An interrupted comparison is continued by the same command; several processes can work on one comparison in the same
    folder.
    """
    from sskt_edge.cli.study_tables import show_study
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked
    from sskt_edge.study.base import refuse_seed

    refuse_seed(set_ or (), "--set")
    loaded = load_checked(recipe, set_ or ())
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):  # takes seconds; mistakes in the recipe were reported before
        from sskt_edge.study.arms import arms_of
        from sskt_edge.study.compare import compare as compare_arms
        from sskt_edge.study.comparison_text import notes_of, tables_of, title_of
        from sskt_edge.training.memory import keep_freed_memory
    keep_freed_memory()
    arms = arms_of(loaded, method or (), arm or ())
    found = compare_arms(loaded, range(first_seed, first_seed + seeds), arms, studies, progress)
    if json_:
        show_json(found)
        raise typer.Exit(1 if found.failed else 0)
    show_study(title_of(found), tables_of(found), notes_of(found))
    elsewhere = studies if studies != Path("studies") else None
    needed = found.seeds_needed
    again = given(method=method, arm=arm, set=set_, seeds=needed, first_seed=first_seed, studies=elsewhere)
    show(
        "some training runs failed" if found.failed else "compared",
        {name: str(found.folder / f"compare.{name}") for name in ("md", "json", "png")} if found.spreads else {},
        [command("compare", recipe_word(recipe), *again)] if seeds < needed else [],
    )
    raise typer.Exit(1 if found.failed else 0)

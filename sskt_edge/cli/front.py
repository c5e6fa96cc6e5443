"""sskt-edge front: train several targets, and find what to ship below a latency or a size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, SetOption, given, show, show_json
from sskt_edge.common.errors import StudyError
from sskt_edge.common.shell import command


def front(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    targets: Annotated[
        str, typer.Option(metavar="NAME@SIZE,…", help="Targets with the side of their input, such as resnet20@64.")
    ],
    ms: Annotated[
        float | None, typer.Option(min=0, help="Name the most accurate file within this many ms per image.")
    ] = None,
    mb: Annotated[float | None, typer.Option(min=0, help="Name the most accurate file within this many MB.")] = None,
    bench: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME@SIZE=FILE",
            help="Take a target's latencies from the output of bench --json on a device; repeatable.",
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Start targets from published weights if available, at a lower rate.")
    ] = False,
    set_: SetOption = None,
    studies: Annotated[Path, typer.Option("--studies", "--out", help="The folder for studies.")] = Path("studies"),
    json_: JsonFlag = False,
) -> None:
    """Train several targets and show the best for a latency or size.

    Each target is trained and exported once, and all share one label store. An interrupted study is continued by the
    same command; several processes can work on one study in the same folder.
    """
    from sskt_edge.cli.study_tables import show_study
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import load_checked

    loaded = load_checked(recipe, set_ or ())
    progress = QUIET if json_ else Bars()
    with progress.bar("load torch", 1):  # takes seconds; mistakes in the recipe were reported before
        from sskt_edge.bundle.bundle import open_bundle
        from sskt_edge.study.front import front as find_front
        from sskt_edge.study.front import parse_targets
        from sskt_edge.study.front_text import fronts_of, notes_of, title_of
        from sskt_edge.training.memory import keep_freed_memory
    keep_freed_memory()
    asked = parse_targets(targets)
    found = find_front(loaded, asked, studies, _reports(bench or (), [one.name for one in asked]), pretrained, progress)
    if json_:
        show_json(found)
        raise typer.Exit(1 if found.missing else 0)
    show_study(title_of(found), fronts_of(found), notes_of(found))
    rows = {name: str(found.folder / f"front.{name}") for name in ("md", "json", "png")}
    chosen = found.best(ms, mb)
    if chosen is None:
        rows["below the limits"] = "no file"
    else:
        what = "ship" if ms is None and mb is None else "below the limits"
        rows[what] = f"{chosen.target.name}, {chosen.precision} by {chosen.runner}: {chosen.bundle}"
    next_commands = []
    if chosen is not None:
        run = found.folder / "runs" / open_bundle(chosen.bundle).manifest.lineage.run
        again = given(studies=studies if studies != Path("studies") else None)
        next_commands = [command("eval", chosen.bundle), command("compare", run / "recipe.toml", *again)]
    show("some targets are missing" if found.missing else "compared targets", rows, next_commands)
    raise typer.Exit(1 if found.missing else 0)


def _reports(given_: list[str] | tuple[str, ...], targets: list[str]) -> dict[str, Path]:
    """Target → report, from words such as "resnet20@64=device.json".

    Raises:
        StudyError: a word is not of this form, or is about another target.
    """
    found: dict[str, Path] = {}
    for word in given_:
        name, equals, file = word.partition("=")
        if not equals or name not in targets:
            raise StudyError(f"--bench {word}: expected NAME@SIZE=FILE with one of {', '.join(targets)}.")
        if name in found:
            raise StudyError(f"--bench {word}: '{name}' already has the report '{found[name]}'.")
        found[name] = Path(file)
    return found

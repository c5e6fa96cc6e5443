"""sskt-edge train: train a recipe, which creates a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sskt_edge.cli.output import Bars, JsonFlag, SetOption, show, show_json
from sskt_edge.common.shell import command
from sskt_edge.common.text import short_count, short_time


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, the name of a shipped recipe or, with --resume, a run.")
    ],
    set_: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the newest unfinished run of the recipe.")] = False,
    runs: Annotated[Path, typer.Option(help="The folder for runs.")] = Path("runs"),
    json_: JsonFlag = False,
) -> None:
    """Train a recipe's target on images and predictions of sources."""
    from sskt_edge.common.progress import QUIET
    from sskt_edge.data.ready import check_inputs, load_checked
    from sskt_edge.training.resume import unfinished_run

    start = time.monotonic()
    progress = QUIET if json_ else Bars()
    # Mistakes are reported before torch is loaded, which takes seconds.
    going_on = unfinished_run(recipe, set_ or (), runs) if resume else None
    if going_on:
        loaded = going_on.recipe
        check_inputs(loaded, going_on.recipe_file, resumed=True)
    else:
        loaded = load_checked(recipe, set_ or ())
    if going_on and going_on.overrides:
        progress.say(f"resuming {going_on.folder.path}, which was started with {', '.join(going_on.overrides)}")
    with progress.bar("load torch", 1):
        from sskt_edge.training.finish import result_facts
        from sskt_edge.training.memory import keep_freed_memory
        from sskt_edge.training.train import train as train_recipe
    keep_freed_memory()
    run = train_recipe(loaded, runs, going_on.folder.path if going_on else None, progress, set_ or ())
    result = run.result
    if json_:
        show_json({"run": str(run.folder.path), **result.model_dump(mode="json")})
        return
    rows = {
        **result_facts(result),
        "network": f"{loaded.target.model}, {short_count(result.primary.parameters)} parameters, "
        f"{short_count(result.primary.macs)} multiply-accumulates per image",
        "dropped": f"branches of {short_count(result.branches.parameters)} parameters, "
        f"{short_count(result.branches.macs)} multiply-accumulates per image",
        "run": str(run.folder.path),
    }
    if result.skipped_images:
        rows["skipped"] = f"{result.skipped_images} unreadable images; environment.json lists those of the training set"
    if not result.branches.parameters:
        del rows["dropped"]
    show(
        f"trained {result.name} in {short_time(time.monotonic() - start)}",
        rows,
        [command("export", run.folder.path)],
    )

"""Which run does a user mean who says --resume?"""

from __future__ import annotations

import contextlib
from pathlib import Path

from sskt_edge.errors import RecipeError, RunError
from sskt_edge.recipe.load import load_recipe, recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.run_layout import RunFolder, find_runs


def unfinished_run(recipe: Recipe, named: str, runs: Path) -> Path:
    """The run folder itself if `named` is one, else the newest unfinished run of this recipe in `runs`.

    Raises:
        RunError: there is none, or it is finished.
    """
    folder = RunFolder(Path(named))
    if folder.recipe.is_file():
        if folder.result.is_file():
            raise RunError(f"The run '{named}' is finished. Next: sskt-edge export {named}.")
        return folder.path
    unfinished = [run for run in find_runs(runs) if not run.result.is_file()]
    wanted = recipe_sha256(recipe)
    for run in unfinished:
        with contextlib.suppress(RecipeError):  # a run of another version may have other keys
            if recipe_sha256(load_recipe(str(run.recipe))) == wanted:
                return run.path
    others = (
        f" Unfinished runs of other recipes: {', '.join(str(run.path) for run in unfinished[:3])}."
        if unfinished
        else ""
    )
    raise RunError(f"No unfinished run of this very recipe in '{runs}'.{others} Start one: leave out --resume.")

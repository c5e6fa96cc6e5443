"""Which run does --resume mean? Told without torch, so that a mistake is met at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sskt_edge.common.errors import RecipeError, RunError
from sskt_edge.common.shell import command
from sskt_edge.recipe.load import load_recipe, run_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.shipped import find_recipe
from sskt_edge.targets.run_layout import RunFolder, find_runs
from sskt_edge.training.environment import (
    Environment,
    changed_values,
    is_recipe_of,
    read_environment,
    refuse_other_recipe,
)


class Unfinished(NamedTuple):
    """A run to resume.

    Attributes:
        folder: the run's.
        recipe: what it was started with.
        recipe_file: where that was read, if not in the run.
        overrides: the --set that it was started with and that were not given this time.
    """

    folder: RunFolder
    recipe: Recipe
    recipe_file: Path | None = None
    overrides: tuple[str, ...] = ()


def unfinished_run(named: str, overrides: Sequence[str], runs: Path) -> Unfinished:
    """The run that `sskt-edge train NAMED --resume` means.

    That is the run itself where `named` is a run's folder. Otherwise it is the newest unfinished run of this very
    recipe in `runs`, or, if no --set was given, the only one of this recipe that was started with a --set.

    Raises:
        RunError: there is none, it is finished, or its recipe changed.
        RecipeError: as load_recipe.
    """
    folder = RunFolder(Path(named))
    if folder.recipe.is_file():
        if folder.result.is_file():
            raise RunError(f"The run '{named}' is finished. Next: {command('export', folder.path)}")
        recipe = run_recipe(folder.recipe, overrides)
        refuse_other_recipe(folder, recipe)
        return Unfinished(folder, recipe)
    recipe = load_recipe(named, overrides)
    unfinished = list(_started(runs))
    for run, environment in unfinished:
        if is_recipe_of(environment, recipe):
            return Unfinished(run, recipe, find_recipe(named))
    with_overrides = [] if overrides else list(_started_with_overrides(named, unfinished))
    if len(with_overrides) == 1:
        return with_overrides[0]
    if with_overrides:
        ways = "".join(f"\n  {command('train', run.folder.path, '--resume')}" for run in with_overrides)
        raise RunError(
            f"{len(with_overrides)} unfinished runs of this recipe were started with a --set. Name one:{ways}"
        )
    raise RunError(_none_found(named, recipe, overrides, unfinished, runs))


def _started(runs: Path) -> Iterator[tuple[RunFolder, Environment]]:
    """The unfinished runs that can be resumed, the newest first."""
    for run in find_runs(runs):
        if not run.result.is_file():
            with contextlib.suppress(RunError):  # it never came to its first step, or is broken
                yield run, read_environment(run)


def _started_with_overrides(named: str, unfinished: Sequence[tuple[RunFolder, Environment]]) -> Iterator[Unfinished]:
    """The unfinished runs whose recipe is the file's with the --set that they were started with."""
    for run, environment in unfinished:
        if not environment.overrides:
            continue
        with contextlib.suppress(RecipeError):  # the file has changed so that they do not fit any more
            recipe = load_recipe(named, environment.overrides)
            if is_recipe_of(environment, recipe):
                yield Unfinished(run, recipe, find_recipe(named), environment.overrides)


def _none_found(
    named: str,
    recipe: Recipe,
    overrides: Sequence[str],
    unfinished: Sequence[tuple[RunFolder, Environment]],
    runs: Path,
) -> str:
    """Why no run can be resumed: the newest one of the recipe's name differs, or there is none at all."""
    for run, environment in unfinished:
        if environment.recipe is not None and environment.recipe["name"] == recipe.name:
            if not overrides:  # the --set that the run was started with does not count as a change
                with contextlib.suppress(RecipeError):
                    recipe = load_recipe(named, environment.overrides)
            return (
                f"No unfinished run of this recipe in '{runs}': the recipe changed since the newest, '{run.path}', "
                f"was started: {changed_values(run, environment, recipe)}. To start a new run, leave out --resume. "
                f"To continue that one as it was started: {command('train', run.path, '--resume')}"
            )
    others = ", ".join(f"'{run.path}'" for run, _ in unfinished[:3])
    return (
        f"No unfinished run of this recipe in '{runs}'. "
        + (f"Unfinished runs of other recipes: {others}. " if others else "")
        + "To start one: leave out --resume."
    )

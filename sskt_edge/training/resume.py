"""Find the run that --resume means. This needs no torch, so that mistakes are reported at once."""

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
    """A run to be resumed.

    Attributes:
        folder: the run's folder.
        recipe: the recipe that it was started with.
        recipe_file: the file that the recipe was read from, if it is not the run's.
        overrides: the --set arguments that it was started with and that were not given this time.
    """

    folder: RunFolder
    recipe: Recipe
    recipe_file: Path | None = None
    overrides: tuple[str, ...] = ()


def unfinished_run(named: str, overrides: Sequence[str], runs: Path) -> Unfinished:
    """The run that `sskt-edge train NAMED --resume` means.

    If `named` is a run's folder, that is this run. Otherwise it is the newest unfinished run of exactly this recipe in
    `runs`, or, if no --set was given, the only one of this recipe that was started with a --set.

    Raises:
        RunError: there is none, it is finished, or its recipe changed.
        RecipeError: as for load_recipe.
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
    """The unfinished runs that can be resumed, newest first."""
    for run in find_runs(runs):
        if not run.result.is_file():
            with contextlib.suppress(RunError):  # it never reached its first step, or is broken
                yield run, read_environment(run)


def _started_with_overrides(named: str, unfinished: Sequence[tuple[RunFolder, Environment]]) -> Iterator[Unfinished]:
    """The unfinished runs whose recipe is the file's recipe with the --set arguments that they were started with."""
    for run, environment in unfinished:
        if not environment.overrides:
            continue
        with contextlib.suppress(RecipeError):  # the file has changed, and they no longer fit
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
    """The error if no run can be resumed: the newest run of the recipe's name differs, or there is none at all."""
    for run, environment in unfinished:
        if environment.recipe is not None and environment.recipe["name"] == recipe.name:
            if not overrides:  # the run's own --set arguments do not count as changes
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

"""Runs by what they are: a study finds the run of a recipe, goes on with it, or trains it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sskt_edge.common.errors import RunError
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import Progress
from sskt_edge.recipe.load import recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import RunFolder, find_runs
from sskt_edge.training.environment import is_recipe_of, read_environment
from sskt_edge.training.train import Fitted, fit, train


def finished_run(recipe: Recipe, runs: Path, progress: Progress) -> tuple[TrainedNetwork, bool]:
    """The finished run of this very recipe in `runs`, and whether it was trained now.

    Another process that trains it is waited for, and its run is taken.

    Raises:
        RunError: the run is broken, or was started with other images.
        WorkError, Interrupted: as train.
    """
    with _alone(recipe, runs, progress) as folder, _saying_what_to_remove(folder):
        if folder is not None and folder.result.is_file():
            return read_run(folder.path), False
        return train(recipe, runs, folder.path if folder else None, progress, show_epochs=False), True


def fitted_run(recipe: Recipe, runs: Path, progress: Progress) -> Fitted:
    """The same for a training that never reads the test set; what is done already is only opened.

    Raises:
        RunError, WorkError, Interrupted: as finished_run.
    """
    with _alone(recipe, runs, progress) as folder, _saying_what_to_remove(folder):
        return fit(recipe, runs, folder.path if folder else None, progress, show_epochs=False)


@contextlib.contextmanager
def _alone(recipe: Recipe, runs: Path, progress: Progress) -> Iterator[RunFolder | None]:
    """The folder of a run of this very recipe if there is one, and no other process that trains it."""
    wanted = recipe_sha256(recipe)
    with locked(runs / f".{wanted[:16]}.lock", "trains the same recipe", progress):
        yield _find(recipe, runs)


def _find(recipe: Recipe, runs: Path) -> RunFolder | None:
    """The newest run of a recipe, a finished one before all others."""
    found = []
    for run in find_runs(runs):
        with contextlib.suppress(RunError):  # not a run that ever started
            if is_recipe_of(read_environment(run), recipe):
                found.append(run)
    return next((run for run in found if run.result.is_file()), found[0] if found else None)


@contextlib.contextmanager
def _saying_what_to_remove(folder: RunFolder | None) -> Iterator[None]:
    """A study trains what is not there, so a run that cannot be used is mended by removing it."""
    try:
        yield
    except RunError as error:
        if folder is None or str(folder.path) not in str(error):
            raise
        raise RunError(f"{error} In a study: remove '{folder.path}', then run the same command again.") from error

"""The runs of a study: find the run of a recipe, continue it, or train it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Hashable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from sskt_edge.common.errors import RunError
from sskt_edge.common.lock import locked, locked_if_free
from sskt_edge.common.progress import Progress
from sskt_edge.recipe.load import recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import RunFolder, find_runs
from sskt_edge.training.environment import is_recipe_of, read_environment
from sskt_edge.training.train import Fitted, fit, train

Key = TypeVar("Key", bound=Hashable)
_DOING = "trains the same recipe"


def claimed(recipes: Mapping[Key, Recipe], runs: Path, progress: Progress) -> Generator[Key, None, None]:
    """The keys in their order, each while this process holds the lock of its recipe's training in `runs`.

    A recipe that another process holds waits for the others, and at last for that process. So processes that work
    through the same recipes share them, and each recipe comes up in every process, in the end as a finished run.
    """
    waiting = list(recipes)
    while waiting:
        with contextlib.ExitStack() as stack:
            free = (key for key in waiting if stack.enter_context(locked_if_free(training_lock(recipes[key], runs))))
            key = next(free, None)
            if key is None:
                key = waiting[0]
                stack.enter_context(locked(training_lock(recipes[key], runs), _DOING, progress))
            waiting.remove(key)
            yield key


def finished_run(recipe: Recipe, runs: Path, progress: Progress) -> tuple[TrainedNetwork, bool]:
    """The finished run of exactly this recipe in `runs`, and whether it was trained now. See `claimed`.

    Raises:
        RunError: the run is broken, or was started with other images.
        WorkError, Interrupted: as for train.
    """
    folder = _find(recipe, runs)
    with _saying_what_to_remove(folder):
        if folder is not None and folder.result.is_file():
            return read_run(folder.path), False
        return train(recipe, runs, folder.path if folder else None, progress, show_epochs=False), True


def fitted_run(recipe: Recipe, runs: Path, progress: Progress) -> Fitted:
    """Like finished_run, for a training that never reads the test set. A training that is done is only opened.

    If another process is training it, wait for that process and use its run.

    Raises:
        RunError, WorkError, Interrupted: as for finished_run.
    """
    with locked(training_lock(recipe, runs), _DOING, progress):
        folder = _find(recipe, runs)
        with _saying_what_to_remove(folder):
            return fit(recipe, runs, folder.path if folder else None, progress, show_epochs=False)


def training_lock(recipe: Recipe, runs: Path) -> Path:
    """The file that is locked while a process trains this recipe in `runs`."""
    return runs / f".{recipe_sha256(recipe)[:16]}.lock"


def _find(recipe: Recipe, runs: Path) -> RunFolder | None:
    """The newest run of a recipe; finished runs come first."""
    found = []
    for run in find_runs(runs):
        with contextlib.suppress(RunError):  # the run was never started
            if is_recipe_of(read_environment(run), recipe):
                found.append(run)
    return next((run for run in found if run.result.is_file()), found[0] if found else None)


@contextlib.contextmanager
def _saying_what_to_remove(folder: RunFolder | None) -> Iterator[None]:
    """Add a hint to errors: a study trains missing runs, so an unusable run can be repaired by removing it."""
    try:
        yield
    except RunError as error:
        if folder is None or str(folder.path) not in str(error):
            raise
        raise RunError(f"{error} In a study: remove '{folder.path}', then run the same command again.") from error

"""Finished trainings that tests share: each recipe is trained once, whichever test or process asks for it first."""

from __future__ import annotations

from pathlib import Path

import pytest

import sskt_edge
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET
from sskt_edge.recipe import Recipe, recipe_sha256
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import find_runs


def shared_folder(temporary: pytest.TempPathFactory, name: str) -> Path:
    """A folder that the processes of pytest-xdist, each with a folder of its own, have in common."""
    base = temporary.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / name
    shared.mkdir(exist_ok=True)
    return shared


class Trainings:
    """Recipe → its finished run, which no test may change: copy the folder before you do.

    Args:
        folder: where the runs are, one folder a recipe, named by its hash.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, TrainedNetwork] = {}

    def __call__(self, recipe: Recipe) -> TrainedNetwork:
        """The run of this recipe."""
        key = recipe_sha256(recipe)[:16]
        if key not in self._read:
            with locked(self._folder / f"{key}.lock", "trains it", QUIET):
                finished = [run for run in find_runs(self._folder / key) if run.result.is_file()]
                found = read_run(finished[0].path) if finished else sskt_edge.train(recipe, self._folder / key)
            self._read[key] = found
        return self._read[key]

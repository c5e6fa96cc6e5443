"""The figures of an epoch that was stopped: those of a whole one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.train import train
from tests.training.small import recipe, stop_within_epoch
from tests.trainings import Trainings


def test_an_epoch_stopped_in_its_last_step_has_the_figures_of_a_whole_one(
    tiny_run: TrainedNetwork, trained: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left of it to train, so its rate is not that of a new optimizer, nor its time that of one session."""
    small = recipe(tiny_run.folder.path, "train.epochs=4")
    whole = trained(small).folder
    folder = stop_within_epoch(2, small, tmp_path / "stopped", monkeypatch, step_of_it=3)
    resumed = train(small, resume=folder).folder
    ours, theirs = ([json.loads(line) for line in run.metrics.read_text().splitlines()] for run in (resumed, whole))
    assert [one["lr"] for one in ours] == [one["lr"] for one in theirs]
    assert ours[2]["seconds"] > 0.1 * theirs[2]["seconds"]
    assert resumed.primary.read_bytes() == whole.primary.read_bytes()

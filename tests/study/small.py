"""Studies that take seconds: the small training of tests/training, one epoch, four steps."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.data.arrays import ArrayReader
from sskt_edge.recipe import Recipe
from sskt_edge.targets.run_layout import find_runs
from sskt_edge.training.loop import Trainer
from tests.training import small

TOLD = ("train.epochs=1", "labels.views=1", "train.device=cpu")


def recipe(source: Path, *overrides: str) -> Recipe:
    """The recipe of a study, with the run in `source` as its source."""
    return small.recipe(source, *TOLD, *overrides)


def stop_at_step(number: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A context in which a SIGINT comes at the end of training step `number`, all trainings counted together."""
    original, done = Trainer.step, 0

    def step(trainer: Trainer, *rest: Any) -> None:
        nonlocal done
        original(trainer, *rest)
        done += 1
        if done == number:
            signal.raise_signal(signal.SIGINT)

    return patched(monkeypatch, Trainer, "step", step)


def no_training(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A context in which a training step is a failure."""
    return patched(monkeypatch, Trainer, "step", _forbidden)


def no_test_images(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A context in which to read the test images is a failure."""
    return patched(monkeypatch, ArrayReader, "test", _forbidden)


def epochs_of(runs: Path) -> dict[str, list[int]]:
    """Run → the epochs that its figures tell of."""
    return {
        run.path.name: [json.loads(line)["epoch"] for line in run.metrics.read_text().splitlines()]
        for run in find_runs(runs)
    }


@contextmanager
def patched(monkeypatch: pytest.MonkeyPatch, what: Any, name: str, value: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(what, name, value)
        yield


def _forbidden(*_: Any) -> None:
    raise AssertionError("this must not happen here")

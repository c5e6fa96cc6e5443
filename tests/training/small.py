"""A training that takes a second or two: scikit-learn's digits at 16 × 16, one small source that was trained here."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.common.errors import Interrupted
from sskt_edge.recipe import Recipe, parse_recipe
from sskt_edge.training.loop import Trainer
from sskt_edge.training.train import train

TEXT = """
name = "small"
[data]
name = "digits"
image_size = 16
per_class = 6
augment = { crop_padding = 2, horizontal_flip = false }
[target]
model = "resnet20"
[[sources]]
name = "teacher"
model = "run/%s"
[method]
transfer_module = true
alpha = 1.0
[labels]
views = 2
batch_size = 32
store = "%s/labels"
[train]
precision = "fp32"
epochs = 3
batch_size = 16
optimizer = { name = "sgd", lr = 0.05 }
[export]
golden = 20
"""


def text(source: Path) -> str:
    """The recipe's text, with the run in `source` as its source."""
    return TEXT % (source, source)


def recipe(source: Path, *overrides: str) -> Recipe:
    """The recipe, with the run in `source` as its source."""
    return parse_recipe(text(source), overrides)


def stop_within_epoch(
    epoch: int, small: Recipe, runs: Path, monkeypatch: pytest.MonkeyPatch, step_of_it: int = 1
) -> Path:
    """Train until a SIGINT comes in this step of this epoch (both from 0); the run's folder."""
    original = Trainer.step

    def step(trainer: Trainer, *rest: Any) -> None:
        original(trainer, *rest)
        if (trainer.state.epoch, trainer.state.step) == (epoch, step_of_it):
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        with pytest.raises(Interrupted, match=f"after {epoch} of"):
            train(small, runs)
    (folder,) = runs.iterdir()
    return folder

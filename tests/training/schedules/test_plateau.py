"""The plateau rule is torch's ReduceLROnPlateau, in a training as by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sskt_edge.common.progress import QUIET
from sskt_edge.data.readers import open_data
from sskt_edge.recipe.optimization import Plateau
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.schedules.plateau import PlateauSchedule
from sskt_edge.training.schedules.schedule import ScheduleState
from sskt_edge.training.train import train
from tests.training.small import recipe


def torchs_rates(losses: Sequence[float], rule: Plateau, base: float) -> list[float]:
    """The rate that torch's own class has after each loss."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    scheduler = ReduceLROnPlateau(
        optimizer, factor=rule.factor, patience=rule.patience, threshold=rule.threshold, min_lr=rule.min_lr
    )
    rates = []
    for loss in losses:
        scheduler.step(loss)
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


def our_rates(losses: Sequence[float], rule: Plateau, base: float) -> list[float]:
    schedule, state, rates = PlateauSchedule(rule, base), ScheduleState(), []
    for loss in losses:
        state = ScheduleState.model_validate_json(state.model_dump_json())  # as a checkpoint keeps it
        state = schedule.after_validation(state, loss)
        assert state.rate is not None
        rates.append(state.rate)
    return rates


@pytest.mark.parametrize(
    "rule",
    [
        Plateau(name="plateau"),
        Plateau(name="plateau", patience=0, factor=0.3),
        Plateau(name="plateau", patience=2, factor=0.5, threshold=0.0, min_lr=0.004),
        Plateau(name="plateau", patience=1, factor=0.1, threshold=0.05),
    ],
    ids=str,
)
def test_the_rates_are_torchs(rule: Plateau) -> None:
    random = np.random.default_rng(0)
    falling = 1 / np.sqrt(np.arange(1, 121)) + 0.05 * random.standard_normal(120)
    losses = [*falling.tolist(), *[0.2] * 30, float("nan"), *(0.2 - 1e-5 * np.arange(30)).tolist()]

    ours = our_rates(losses, rule, 0.1)

    assert ours == torchs_rates(losses, rule, 0.1)
    assert len(set(ours)) > 2


def test_the_rate_stays_for_as_many_validations_as_patience_says() -> None:
    rule = Plateau(name="plateau", patience=2, factor=0.1)

    assert our_rates([1.0, 1.0, 1.0, 1.0, 1.0], rule, 1.0) == [1.0, 1.0, 1.0, 0.1, 0.1]


@pytest.mark.slow
def test_a_training_lowers_its_rate_by_the_validation_loss_of_the_task(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    """Every other epoch is validated; torch's class, given the logged losses, gives the rates of the next epochs."""
    rule = Plateau(name="plateau", patience=0, factor=0.5, threshold=0.9)
    small = recipe(
        tiny_run.folder.path,
        "train.schedule={name='plateau', patience=0, factor=0.5, threshold=0.9}",
        *("data.per_class=3", "data.validation=0.1", "train.epochs=6", "train.validate_every=2", "method.alpha=5"),
    )
    run = train(small, tmp_path)

    lines = [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    after = torchs_rates(losses, rule, 0.05)
    assert len(losses) == 3
    assert [line["lr"] for line in lines] == [0.05, 0.05, after[0], after[0], after[1], after[1]]
    assert after[0] == 0.05 > after[1] > after[2]
    assert run.folder.log.read_text().count("learning rate ") == 2
    # The sources weigh nothing in it.
    _, images = open_data(small.data).training([16], QUIET)
    assert images is not None
    with torch.no_grad():
        logits = run.network(run.pixels(torch.from_numpy(images.resized[16])))
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(images.labels)).item()
    assert losses[-1] == pytest.approx(expected, rel=1e-5)

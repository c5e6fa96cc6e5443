"""The averaged network: how it is averaged, and that it is the one which is validated, tested and kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sskt_edge.common.progress import QUIET
from sskt_edge.data.readers import open_data
from sskt_edge.methods.scratch.learner import ScratchLearner
from sskt_edge.targets.reference import reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.ema import Average
from tests.conftest import tiny_recipe
from tests.trainings import Trainings

VALIDATED = ("data.validation=0.3", "train.epochs=3")


def part(file: Path, name: str) -> dict[str, Tensor]:
    """The primary network in one part of a state's file."""
    prefix = f"{name}.primary."
    tensors = safetensors.torch.load_file(file).items()
    return {key.removeprefix(prefix): value for key, value in tensors if key.startswith(prefix)}


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


def metrics(run: TrainedNetwork) -> list[dict[str, float]]:
    return [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]


def validated(run: TrainedNetwork) -> tuple[Tensor, Tensor]:
    """The logits of a finished run for its validation images, and their labels."""
    data = run.recipe.data
    _, images = open_data(data).training([data.image_size], QUIET)
    assert images is not None
    logits = reference_logits(run.network, run.pixels, images.resized[data.image_size])
    return torch.from_numpy(logits), torch.from_numpy(images.labels)


@pytest.mark.parametrize(("decay", "used"), [(0.999, [2 / 11, 3 / 12, 4 / 13]), (0.2, [2 / 11, 0.2, 0.2])])
def test_three_steps_are_averaged_as_by_hand(decay: float, used: list[float]) -> None:
    torch.manual_seed(0)
    learner = ScratchLearner(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), {})
    average = Average(learner, decay)
    expected = {key: value.clone() for key, value in learner.state_dict().items()}
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.5)
    for steps, now in enumerate(used, 1):
        optimizer.zero_grad()
        learner.primary(torch.randn(2, 3, 5, 5)).square().sum().backward()
        optimizer.step()
        average.update(steps)
        for key, value in learner.state_dict().items():
            expected[key] = now * expected[key] + (1 - now) * value if value.is_floating_point() else value.clone()
    for key, value in average.network.state_dict().items():
        torch.testing.assert_close(value, expected[key], msg=key)
    assert average.network.state_dict()["primary.1.num_batches_tracked"] == 3
    assert not average.network.training and learner.training
    assert not torch.equal(expected["primary.1.running_var"], learner.state_dict()["primary.1.running_var"])


def test_the_averaged_network_is_tested_and_kept(trained: Trainings) -> None:
    run = trained(tiny_recipe("train.ema=0.9", *VALIDATED))
    kept = safetensors.torch.load_file(run.folder.primary)
    assert equal(kept, part(run.folder.last, "averaged")) and not equal(kept, part(run.folder.last, "network"))
    golden = run.golden()
    found = reference_logits(run.network, run.pixels, golden.images)
    np.testing.assert_allclose(found, golden.logits, rtol=1e-4, atol=1e-4)


def test_the_averaged_network_is_validated_and_training_stays_the_same(trained: Trainings) -> None:
    plain, averaged = (trained(tiny_recipe(*more, *VALIDATED)) for more in ((), ("train.ema=0.9",)))
    assert [line["loss"] for line in metrics(plain)] == [line["loss"] for line in metrics(averaged)]
    assert equal(part(plain.folder.last, "network"), part(averaged.folder.last, "network"))
    logits, labels = validated(averaged)
    loss = nn.functional.cross_entropy(logits, labels).item()
    assert metrics(averaged)[-1]["validation_loss"] == pytest.approx(loss, rel=1e-4)
    assert metrics(plain)[-1]["validation_loss"] != pytest.approx(loss, rel=1e-2)


def test_the_best_averaged_network_is_kept(trained: Trainings) -> None:
    run = trained(tiny_recipe("train.ema=0.9", "train.keep=best", *VALIDATED))
    assert equal(safetensors.torch.load_file(run.folder.primary), part(run.folder.best, "network"))
    values = [line["validation_accuracy"] for line in metrics(run)]
    assert run.result.kept_epoch == 1 + values.index(max(values))
    logits, labels = validated(run)
    assert run.result.validation == (logits.argmax(dim=1) == labels).double().mean().item()

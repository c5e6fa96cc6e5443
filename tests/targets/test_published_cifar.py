"""The public CIFAR ResNets: a target starts from their files, and with their last layer it answers as they do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sskt_edge.common.errors import CheckpointError
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import target_spec
from sskt_edge.targets.weights import read_weights
from sskt_edge.training.train import train
from tests.conftest import tiny_recipe
from tests.targets.published_cifar import published_file, published_logits

PUBLISHED = os.environ.get("SSKT_EDGE_CIFAR_WEIGHTS")


def random_weights(depth: int) -> dict[str, Tensor]:
    """Of the published names, without counters of batches, as files from before PyTorch 0.4."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = target_spec(f"resnet{depth}").build(10).state_dict()
        for key, value in state.items():
            if "running" in key:
                value.uniform_(0.5, 1.5)
    kept = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    return {key.replace("fc.", "linear."): value for key, value in kept.items()}


def images() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def logits_of(model: str, checkpoint: Path) -> Tensor:
    target = TargetOptions.model_validate({"model": model, "checkpoint": str(checkpoint), "last_layer": "kept"})
    with torch.no_grad():
        found: Tensor = build_target(target, 10, seed=0).eval()(images())
    return found


@pytest.mark.parametrize("depth", [20, 56])
def test_a_target_with_the_kept_layer_answers_as_the_published_one(depth: int, tmp_path: Path) -> None:
    weights = random_weights(depth)
    file = published_file(weights, tmp_path / "published.th")

    torch.testing.assert_close(
        logits_of(f"resnet{depth}", file), published_logits(weights, images(), depth), rtol=1e-4, atol=1e-5
    )


@pytest.mark.skipif(not PUBLISHED, reason="SSKT_EDGE_CIFAR_WEIGHTS names no folder with the public CIFAR weights")
@pytest.mark.parametrize("depth", [20, 56])
def test_the_public_files_answer_as_the_published_network(depth: int) -> None:
    (file,) = Path(str(PUBLISHED)).glob(f"resnet{depth}-*.th")
    weights = read_weights(file)

    expected = published_logits(weights, images(), depth)

    assert expected.std() > 1  # of trained weights; fresh ones answer flatly
    torch.testing.assert_close(logits_of(f"resnet{depth}", file), expected, rtol=0, atol=1e-5)


def test_fine_tuning_leaves_the_published_last_layer_behind(tmp_path: Path) -> None:
    weights = random_weights(20)
    file = published_file(weights, tmp_path / "published.th")

    tuned = build_target(TargetOptions(model="resnet20", checkpoint=str(file)), 7, seed=0).state_dict()

    assert tuned["fc.weight"].shape == (7, 64)
    assert torch.equal(tuned["layer3.2.conv2.weight"], weights["layer3.2.conv2.weight"])


def test_a_kept_last_layer_of_other_classes_is_refused(tmp_path: Path) -> None:
    file = published_file(random_weights(20), tmp_path / "published.th")
    target = TargetOptions(model="resnet20", checkpoint=str(file), last_layer="kept")

    with pytest.raises(CheckpointError, match=r"10 classes.*7\..*target\.last_layer = 'new'"):
        build_target(target, 7, seed=0)


def test_no_epochs_make_a_run_of_the_checkpoint_as_it_is(tmp_path: Path) -> None:
    weights = random_weights(20)
    file = published_file(weights, tmp_path / "published.th")
    told = (f"target.checkpoint={file}", "target.last_layer=kept", "train.epochs=0")

    run = train(tiny_recipe(*told), tmp_path / "runs")

    golden = run.golden()
    with torch.no_grad():
        expected = published_logits(weights, run.pixels(torch.from_numpy(golden.images)), 20)
    np.testing.assert_allclose(golden.logits, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert run.result.kept_epoch == 0
    assert torch.equal(run.network.state_dict()["fc.weight"], weights["linear.weight"])

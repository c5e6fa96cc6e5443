from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision import models

from sskt_edge.common.errors import NetworkError
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import pretrained_weights


def test_a_target_without_published_weights_says_what_to_use_instead() -> None:
    with pytest.raises(NetworkError, match=r"'resnet20' has no published weights; use checkpoint"):
        build_target(TargetOptions(model="resnet20", weights="IMAGENET1K_V1"), 10, seed=0)


@pytest.mark.parametrize("model", ["mobilenet_v3_large", "regnet_y_400mf"])
def test_the_default_of_torchvision_comes_first(model: str) -> None:
    assert pretrained_weights(model).names() == ("IMAGENET1K_V2", "IMAGENET1K_V1", "DEFAULT")


def test_weights_leave_the_random_numbers_of_the_process_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    published = models.mobilenet_v3_small()
    file = Path(models.MobileNet_V3_Small_Weights.DEFAULT.url).name
    torch.save(published.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)

    network = build_target(TargetOptions(model="mobilenet_v3_small", weights="IMAGENET1K_V1"), 10, seed=3)

    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(network.state_dict()["classifier.0.weight"], published.state_dict()["classifier.0.weight"])
    assert network.get_submodule("classifier.3").out_features == 10

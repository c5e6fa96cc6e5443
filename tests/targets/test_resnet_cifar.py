from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sskt_edge.targets.resnet_cifar import CifarResNet


def first_block(network: CifarResNet, stage: str) -> nn.Module:
    return network.get_submodule(f"{stage}.0")


def without_residual(block: nn.Module) -> nn.Module:
    """The block with its residual path answering 0, so that only the shortcut is left."""
    nn.init.zeros_(block.get_parameter("bn2.weight"))
    nn.init.zeros_(block.get_parameter("bn2.bias"))
    return block.eval()


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_parameters_are_the_published_ones(depth: int, millions: float) -> None:
    assert round(sum(p.numel() for p in CifarResNet(depth, 10).parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_the_depth_counts_convolutions_and_the_linear_layer(depth: int) -> None:
    layers = [m for m in CifarResNet(depth, 10).modules() if isinstance(m, nn.Conv2d | nn.Linear)]

    assert len(layers) == depth


def test_option_a_takes_every_second_pixel_and_pads_with_zeros() -> None:
    block = without_residual(first_block(CifarResNet(20, 10), "layer2"))
    features = torch.arange(1.0, 16 * 5 * 5 + 1).reshape(1, 16, 5, 5)
    expected = torch.zeros(1, 32, 3, 3)
    for channel in range(16):
        for row in range(3):
            for column in range(3):
                # Half of the 16 new channels stand before the old ones.
                expected[0, 8 + channel, row, column] = features[0, channel, 2 * row, 2 * column]

    assert torch.equal(block(features), expected)


def test_a_shortcut_of_stride_1_is_the_identity() -> None:
    block = without_residual(first_block(CifarResNet(20, 10), "layer1"))
    features = torch.rand(2, 16, 4, 4)

    assert torch.equal(block(features), features)


def test_a_block_adds_residual_and_shortcut_before_the_last_relu() -> None:
    block = first_block(CifarResNet(20, 10), "layer1").eval()
    features = torch.randn(2, 16, 4, 4)

    def normed(planes: Tensor) -> Tensor:
        return planes.div((1 + 1e-5) ** 0.5)  # BatchNorm as it is made

    conv1, conv2 = block.get_submodule("conv1"), block.get_submodule("conv2")
    residual = normed(conv2(normed(conv1(features)).clamp(min=0)))

    torch.testing.assert_close(block(features), (residual + features).clamp(min=0))


def test_it_takes_images_of_eight_pixels_and_of_odd_sides() -> None:
    network = CifarResNet(20, 10).eval()

    assert network(torch.rand(1, 3, 8, 8)).shape == (1, 10)
    assert network(torch.rand(1, 3, 37, 37)).shape == (1, 10)

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sskt_edge.sskt.transfer import Combine, LinearBranch, TransferModule

EPSILON = 1e-5  # of BatchNorm


def constant(module: TransferModule, weights: tuple[float, float, float]) -> None:
    """Every weight of the three convolutions of every bottleneck is the given one; BatchNorm as it is made."""
    for bottleneck in module.bottlenecks:
        assert isinstance(bottleneck, nn.Sequential)
        convolutions = [layer for layer in bottleneck if isinstance(layer, nn.Conv2d)]
        for convolution, weight in zip(convolutions, weights, strict=True):
            nn.init.constant_(convolution.weight, weight)


def test_a_transfer_module_gives_what_figure_3_gives_by_hand() -> None:
    module = TransferModule({"a": 2}, width=2, classes=1, combine="mean").eval()
    constant(module, (0.5, 0.1, 2.0))
    norms = [layer for layer in module.bottlenecks[0].children() if isinstance(layer, nn.BatchNorm2d)]
    norms[1].running_mean = torch.tensor([0.3])
    norms[2].running_mean, norms[2].running_var = torch.tensor([1.0, -1.0]), torch.tensor([4.0, 0.25])
    norms[2].weight.data, norms[2].bias.data = torch.tensor([3.0, 1.0]), torch.tensor([0.5, -2.25])
    nn.init.constant_(module.linear.weight, 1.0)
    nn.init.constant_(module.linear.bias, -0.25)
    # Channel 0 counts 1 … 16 over 4 × 4 pixels, channel 1 is -9 everywhere; so each ReLU has something to cut.
    features = torch.stack([torch.arange(1.0, 17.0).reshape(4, 4), torch.full((4, 4), -9.0)])[None]

    # By hand. 1 × 1: half the sum of both channels; BatchNorm with mean 0 and variance 1; ReLU.
    norm = 1 / math.sqrt(1 + EPSILON)
    first = [[max(0.0, 0.5 * (4 * row + column + 1 - 9) * norm) for column in range(4)] for row in range(4)]
    # 3 × 3 with stride 2 inside a border of zeros, around rows and columns 0 and 2: nine neighbours times 0.1.
    second = []
    for row, column in ((0, 0), (0, 2), (2, 0), (2, 2)):
        around = [(y, x) for y in range(row - 1, row + 2) for x in range(column - 1, column + 2) if y >= 0 and x >= 0]
        second.append(max(0.0, (0.1 * sum(first[y][x] for y, x in around) - 0.3) * norm))
    # 1 × 1 to two channels, each with its own BatchNorm; ReLU; then the average over the four pixels.
    outputs = [
        [max(0.0, 3 * (2 * value - 1) / math.sqrt(4 + EPSILON) + 0.5) for value in second],
        [max(0.0, (2 * value + 1) / math.sqrt(0.25 + EPSILON) - 2.25) for value in second],
    ]
    assert [sum(value > 0 for value in channel) for channel in (second, *outputs)] == [2, 1, 2]
    expected = sum(outputs[0]) / 4 + sum(outputs[1]) / 4 - 0.25

    assert module({"a": features}, torch.empty(0)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("combine", "factor"), [("sum", 3.0), ("mean", 1.0)])
def test_stages_are_combined_as_sum_or_mean_before_the_linear_layer(combine: Combine, factor: float) -> None:
    module = TransferModule({"a": 1, "b": 1, "c": 1}, width=2, classes=1, combine=combine).eval()
    constant(module, (1.0, 1.0, 1.0))
    nn.init.constant_(module.linear.weight, 1.0)
    nn.init.constant_(module.linear.bias, 0.5)
    ones = torch.ones(1, 1, 1, 1)
    # A feature map of one pixel: each 3 × 3 sees that pixel and zeros. Three BatchNorms of variance 1.
    one_stage = 2 * (1 / math.sqrt(1 + EPSILON)) ** 3

    logits = module({"a": ones, "b": ones, "c": ones}, torch.empty(0))

    assert logits.item() == pytest.approx(factor * one_stage + 0.5, rel=1e-5)


def test_a_stage_of_one_pixel_is_enough() -> None:
    module = TransferModule({"a": 4}, width=6, classes=5, combine="mean").train()

    assert module({"a": torch.randn(2, 4, 1, 1)}, torch.empty(0)).shape == (2, 5)


def test_a_bottleneck_halves_the_sides_rounded_up() -> None:
    module = TransferModule({"a": 4}, width=6, classes=5, combine="mean")

    assert module.bottlenecks[0](torch.randn(2, 4, 7, 5)).shape == (2, 6, 4, 3)


def test_stages_go_by_name_not_by_order() -> None:
    module = TransferModule({"a": 2, "b": 3}, width=4, classes=5, combine="sum").eval()
    a, b = torch.randn(1, 2, 3, 3), torch.randn(1, 3, 2, 2)

    assert torch.equal(module({"b": b, "a": a}, torch.empty(0)), module({"a": a, "b": b}, torch.empty(0)))


@pytest.mark.parametrize(
    ("stages", "width", "classes"), [({"a": 16, "b": 32, "c": 64}, 64, 1000), ({"a": 3, "b": 5}, 10, 7)]
)
def test_the_number_of_parameters_is_that_of_the_supplement(stages: dict[str, int], width: int, classes: int) -> None:
    middle = width // 2
    # 1 × 1, 3 × 3, 1 × 1 without bias; two parameters a channel of each BatchNorm; the linear layer with bias.
    expected = sum(
        c * middle + 9 * middle * middle + middle * width + 2 * (2 * middle + width) for c in stages.values()
    )
    expected += width * classes + classes

    module = TransferModule(stages, width, classes, "mean")

    assert sum(p.numel() for p in module.parameters()) == expected


def test_a_linear_branch_is_one_linear_layer_on_the_pooled_feature() -> None:
    branch = LinearBranch(2, 2)
    branch.linear.weight.data = torch.tensor([[1.0, 2.0], [-3.0, 0.5]])
    branch.linear.bias.data = torch.tensor([0.25, 1.0])

    logits = branch({}, torch.tensor([[4.0, 6.0]]))

    # 4 + 12 + 0.25; -12 + 3 + 1
    assert logits.tolist() == [[16.25, -8.0]]
    assert sum(p.numel() for p in branch.parameters()) == 6

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sskt_edge.methods.sskt.folding import Stage
from sskt_edge.methods.sskt.transfer import Bottleneck, Combine, LinearBranch, TransferModule

EPSILON = 1e-5  # of BatchNorm


def constant(module: TransferModule, weights: tuple[float, float, float]) -> None:
    """Every weight of the three convolutions of every bottleneck is the given one; BatchNorm as it is made."""
    for bottleneck in module.bottlenecks:
        assert isinstance(bottleneck, Bottleneck)
        convolutions = (bottleneck.reduce, bottleneck.halve, bottleneck.widen)
        for convolution, weight in zip(convolutions, weights, strict=True):
            nn.init.constant_(convolution.weight, weight)


def test_a_transfer_module_gives_what_figure_3_gives_by_hand() -> None:
    module = TransferModule({"a": 2}, width=2, classes=1, combine="mean").eval()
    constant(module, (0.5, 0.1, 2.0))
    bottleneck = module.bottlenecks[0]
    assert isinstance(bottleneck, Bottleneck)
    bottleneck.halve_norm.running_mean = torch.tensor([0.3])
    last = bottleneck.widen_norm
    last.running_mean, last.running_var = torch.tensor([1.0, -1.0]), torch.tensor([4.0, 0.25])
    last.weight.data, last.bias.data = torch.tensor([3.0, 1.0]), torch.tensor([0.5, -2.25])
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

    assert module({"a": Stage(features)}, torch.empty(0)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("combine", "factor"), [("sum", 3.0), ("mean", 1.0)])
def test_stages_are_combined_as_sum_or_mean_before_the_linear_layer(combine: Combine, factor: float) -> None:
    module = TransferModule({"a": 1, "b": 1, "c": 1}, width=2, classes=1, combine=combine).eval()
    constant(module, (1.0, 1.0, 1.0))
    nn.init.constant_(module.linear.weight, 1.0)
    nn.init.constant_(module.linear.bias, 0.5)
    ones = Stage(torch.ones(1, 1, 1, 1))
    # A feature map of one pixel: each 3 × 3 sees that pixel and zeros. Three BatchNorms of variance 1.
    one_stage = 2 * (1 / math.sqrt(1 + EPSILON)) ** 3

    logits = module({"a": ones, "b": ones, "c": ones}, torch.empty(0))

    assert logits.item() == pytest.approx(factor * one_stage + 0.5, rel=1e-5)


def test_a_stage_of_one_pixel_is_enough() -> None:
    module = TransferModule({"a": 4}, width=6, classes=5, combine="mean").train()

    assert module({"a": Stage(torch.randn(2, 4, 1, 1))}, torch.empty(0)).shape == (2, 5)


def test_a_bottleneck_halves_the_sides_rounded_up() -> None:
    bottleneck = Bottleneck(4, 6)
    shapes: list[torch.Size] = []
    bottleneck.widen.register_forward_hook(lambda _layer, _inputs, output: shapes.append(output.shape))

    assert bottleneck(Stage(torch.randn(2, 4, 7, 5))).shape == (2, 6)
    assert shapes == [(2, 6, 4, 3)]


def as_drawn(bottleneck: Bottleneck) -> nn.Sequential:
    """The supplement's figure 1, layer by layer, of the same parameters."""
    return nn.Sequential(
        *(bottleneck.reduce, bottleneck.reduce_norm, nn.ReLU()),
        *(bottleneck.halve, bottleneck.halve_norm, nn.ReLU()),
        *(bottleneck.widen, bottleneck.widen_norm, nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


@pytest.mark.parametrize("channels", [2, 3, 9])
def test_a_bottleneck_trains_as_its_layers_one_after_the_other(channels: int) -> None:
    bottleneck = Bottleneck(channels, 8).double().train()
    features = torch.randn(3, channels, 6, 5, dtype=torch.float64, requires_grad=True)
    wanted = [features, *bottleneck.parameters()]

    ours = bottleneck(Stage(features))
    expected = as_drawn(copy.deepcopy(bottleneck).train())(features)

    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10)
    gradients = torch.autograd.grad(ours.sin().sum(), wanted)
    drawn = as_drawn(bottleneck)
    for our, one in zip(gradients, torch.autograd.grad(drawn(features).sin().sum(), wanted), strict=True):
        torch.testing.assert_close(our, one, rtol=1e-8, atol=1e-10)


class Layouts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Names of the operations that met a map of channels laid out otherwise than channels_last."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.others: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, out)):
            is_map = isinstance(tensor, torch.Tensor) and tensor.dim() == 4 and 0 not in tensor.stride()
            if is_map and not tensor.is_contiguous(memory_format=torch.channels_last):
                self.others.append(str(func))
        return out


def test_no_operation_of_a_bottleneck_leaves_the_layout_of_its_stage() -> None:
    bottleneck = Bottleneck(16, 32).to(memory_format=torch.channels_last)
    features = torch.randn(2, 16, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()

    with Layouts() as layouts:
        torch.autograd.backward(bottleneck(Stage(features)).sum())

    assert layouts.others == []


def test_stages_go_by_name_not_by_order() -> None:
    module = TransferModule({"a": 2, "b": 3}, width=4, classes=5, combine="sum").eval()
    a, b = Stage(torch.randn(1, 2, 3, 3)), Stage(torch.randn(1, 3, 2, 2))

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

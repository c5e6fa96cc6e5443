"""The folded form is compared with what it stands for: the convolution, then BatchNorm."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from sskt_edge.methods.sskt.folding import Stage, normalised

Layers = tuple[nn.Conv2d, nn.BatchNorm2d]


@pytest.fixture(autouse=True)
def same_random_numbers() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def layers(channels: int = 6, outputs: int = 16) -> Layers:
    norm = nn.BatchNorm2d(outputs)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        assert tensor is not None
        nn.init.normal_(tensor)
    return nn.Conv2d(channels, outputs, 1, bias=False), norm


def plain(features: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    normal: Tensor = norm(convolution(features))
    return normal


def folded(features: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    return normalised(Stage(features), convolution, norm)


def all_of(way: Callable[[Tensor, nn.Conv2d, nn.BatchNorm2d], Tensor], features: Tensor, made: Layers) -> list[Tensor]:
    """The output, every gradient, and the running statistics after two steps on copies of the layers."""
    convolution, norm = copy.deepcopy(made)
    features = features.detach().clone().requires_grad_()
    way(features.detach() * 2, convolution, norm)
    output = way(features, convolution, norm)
    torch.autograd.backward(output, torch.arange(output.numel()).sin().reshape(output.shape).to(output.dtype))
    found = [output, features.grad, convolution.weight.grad, norm.weight.grad, norm.bias.grad]
    found += [norm.running_mean, norm.running_var, norm.num_batches_tracked]
    return [tensor.detach() for tensor in found if tensor is not None]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_outputs_gradients_and_statistics_are_those_of_two_layers(offset: float, layout: torch.memory_format) -> None:
    convolution, norm = layers()
    features = (torch.randn(3, 6, 5, 7, dtype=torch.float64) + offset).to(memory_format=layout)

    ours, expected = (all_of(way, features, (convolution.double(), norm.double())) for way in (folded, plain))

    assert len(ours) == len(expected) == 8
    for our, one in zip(ours, expected, strict=True):
        torch.testing.assert_close(our, one, rtol=1e-10, atol=1e-11)


def test_a_large_mean_costs_no_accuracy_in_fp32() -> None:
    made = layers()
    features = torch.randn(16, 6, 16, 16) + 100

    ours, theirs = all_of(folded, features, made), all_of(plain, features, made)
    exact = all_of(plain, features.double(), (made[0].double(), made[1].double()))

    for our, their, one in zip(ours, theirs, exact, strict=True):
        assert (our - one).abs().max() <= 3 * (their - one).abs().max() + 1e-6 * one.abs().max()


def test_in_bf16_it_is_no_further_from_exact_than_batchnorm() -> None:
    made = layers(16, 32)
    features = torch.randn(8, 16, 16, 16).relu().bfloat16()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = all_of(folded, features, made), all_of(plain, features, made)
    exact = all_of(plain, features.double(), (made[0].double(), made[1].double()))

    assert (ours[0].dtype, ours[1].dtype, ours[2].dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    for our, their, one in zip(ours, theirs, exact, strict=True):
        assert (our - one).double().norm() <= 1.5 * (their - one).double().norm() + 1e-6 * one.double().norm()


def test_in_evaluation_the_running_statistics_are_used_and_left_alone() -> None:
    convolution, norm = layers()
    norm.eval()
    before = copy.deepcopy(norm.state_dict())
    features = torch.randn(2, 6, 4, 4)

    assert torch.equal(folded(features, convolution, norm), plain(features, convolution, norm))
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())


@pytest.mark.parametrize(("channels", "asked"), [(8, True), (9, False)])
def test_moments_are_taken_only_of_stages_half_as_wide_as_the_output(channels: int, asked: bool) -> None:
    stage = Stage(torch.randn(2, channels, 4, 4))

    normalised(stage, *layers(channels, 16))

    assert ("moments" in vars(stage)) == asked


def test_two_branches_share_the_moments_of_a_stage() -> None:
    features = torch.randn(4, 6, 5, 5, dtype=torch.float64, requires_grad=True)
    pairs = [(convolution.double(), norm.double()) for convolution, norm in (layers(), layers())]
    stage = Stage(features)

    moments = stage.moments
    ours = torch.stack([normalised(stage, *pair) for pair in pairs])
    expected = torch.stack([plain(features, *pair) for pair in pairs])

    assert stage.moments is moments
    our, one = (torch.autograd.grad(both.sin().sum(), features)[0] for both in (ours, expected))
    torch.testing.assert_close(our, one, rtol=1e-9, atol=1e-10)


def test_moments_are_means_and_covariances_with_their_gradients() -> None:
    features = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    rows = features.detach().permute(0, 2, 3, 1).reshape(-1, 3)

    mean, covariance = Stage(features).moments

    torch.testing.assert_close(mean, rows.mean(dim=0))
    torch.testing.assert_close(covariance, torch.cov(rows.T, correction=0))
    assert torch.autograd.gradcheck(lambda one: Stage(one).moments, features)


def test_moments_leave_the_features_alone() -> None:
    features = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    before = features.clone()

    _ = Stage(features).moments

    assert torch.equal(features, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_moments_are_right_where_the_mean_is_thirty_spreads(dtype: torch.dtype) -> None:
    features = (torch.randn(8, 6, 32, 32) + 30).to(dtype)

    found, exact = Stage(features).moments, Stage(features.double()).moments

    for ours, one in zip(found, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - one).abs().max() <= 1e-3 * one.abs().max()

"""Strided depthwise convolutions: the same function, another way to train it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from sskt_edge.targets.depthwise import StridedDepthwise, with_fast_depthwise
from sskt_edge.targets.spec import target_spec


def test_mobilenet_changes_its_strided_depthwise_convolutions_alone() -> None:
    plain = models.mobilenet_v2(weights=None, num_classes=7)
    swapped = [
        name
        for name, module in target_spec("mobilenet_v2").build(7).named_modules()
        if isinstance(module, StridedDepthwise)
    ]

    strided = [
        name
        for name, module in plain.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1 and module.stride == (2, 2)
    ]
    assert swapped == strided
    assert len(swapped) == 4
    assert not any(isinstance(module, StridedDepthwise) for module in target_spec("resnet18").build(7).modules())


def test_the_network_is_the_same_one() -> None:
    torch.manual_seed(0)
    plain = models.mobilenet_v2(weights=None, num_classes=7).eval()
    torch.manual_seed(0)
    ours = target_spec("mobilenet_v2").build(7).eval()
    images = torch.randn(2, 3, 64, 64)

    assert list(ours.state_dict()) == list(plain.state_dict())
    assert torch.equal(ours(images), plain(images))


def test_in_bf16_values_and_gradients_are_those_of_fp32_rounded() -> None:
    torch.manual_seed(0)
    layer = with_fast_depthwise(nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, groups=8, bias=False))).train()
    features = torch.randn(2, 8, 10, 10).bfloat16()
    slope = torch.randn(2, 8, 5, 5).bfloat16()

    def run(images: Tensor, upstream: Tensor, *, autocast: bool) -> tuple[Tensor, Tensor, Tensor]:
        images = images.clone().requires_grad_()
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            out = layer(images)
        out.backward(upstream)
        assert images.grad is not None
        (parameter,) = layer.parameters()
        assert parameter.grad is not None
        return out.detach(), images.grad, parameter.grad.clone()

    ours = run(features, slope, autocast=True)
    exact = run(features.float(), slope.float(), autocast=False)

    assert [one.dtype for one in ours] == [torch.bfloat16, torch.bfloat16, torch.float32]
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one, other.to(one.dtype), rtol=0, atol=0)


def test_a_convolution_with_a_forward_of_its_own_stays() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, features: Tensor) -> Tensor:
            return 2 * super().forward(features)

    plain = Doubled(4, 4, 3, 2, groups=4)

    (kept,) = with_fast_depthwise(nn.Sequential(plain)).children()

    assert kept is plain


def test_a_bias_a_dilation_and_padding_stay() -> None:
    plain = nn.Conv2d(4, 8, 3, (2, 1), (2, 1), (2, 1), groups=4, bias=True, padding_mode="reflect")
    images = torch.randn(1, 4, 12, 9)
    expected = plain(images)

    (swapped,) = with_fast_depthwise(nn.Sequential(plain)).children()

    assert isinstance(swapped, StridedDepthwise)
    assert torch.equal(swapped(images), expected)
    assert torch.equal(F.relu(swapped.eval()(images)), F.relu(expected))

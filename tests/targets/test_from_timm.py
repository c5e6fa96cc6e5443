"""The targets from timm are timm's networks; only their strided depthwise convolutions train in another way."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from sskt_edge.targets.depthwise import StridedDepthwise
from sskt_edge.targets.spec import target_spec

TIMM = {"efficientnet_lite0": "tf_efficientnet_lite0", "mobilenetv4_conv_small": "mobilenetv4_conv_small"}


def both(target: str) -> tuple[nn.Module, nn.Module]:
    """The target and timm's network, newly initialised from the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ours = target_spec(target).build(7)
        torch.manual_seed(0)
        return ours, timm.create_model(TIMM[target], num_classes=7)


@pytest.mark.parametrize("side", [33, 64])
@pytest.mark.parametrize("target", list(TIMM))
def test_it_is_the_network_of_timm(target: str, side: int) -> None:
    ours, plain = (network.eval() for network in both(target))
    images = torch.randn(2, 3, side, side)

    assert list(ours.state_dict()) == list(plain.state_dict())
    assert torch.equal(ours(images), plain(images))


@pytest.mark.parametrize(("target", "strided"), [("efficientnet_lite0", 4), ("mobilenetv4_conv_small", 2)])
def test_the_strided_depthwise_convolutions_alone_are_replaced(target: str, strided: int) -> None:
    ours, plain = both(target)
    kinds = {name: type(module) for name, module in plain.named_modules()}
    changed = [name for name, module in ours.named_modules() if type(module) is not kinds[name]]

    convolutions = [ours.get_submodule(name) for name in changed]
    assert len(convolutions) == strided
    assert all(isinstance(one, StridedDepthwise) and one.stride == (2, 2) for one in convolutions)


def test_in_bf16_a_padded_convolution_computes_in_fp32() -> None:
    layer = target_spec("efficientnet_lite0").build(7).get_submodule("blocks.2.0.conv_dw").train()
    features = torch.randn(2, 144, 9, 9).bfloat16()

    def run(images: Tensor, *, autocast: bool) -> tuple[Tensor, Tensor]:
        images = images.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            out = layer(images)
        out.backward(torch.ones_like(out))
        assert images.grad is not None
        return out.detach(), images.grad

    ours, exact = run(features, autocast=True), run(features.float(), autocast=False)

    assert ours[0].shape == (2, 144, 5, 5)
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one, other.to(torch.bfloat16), rtol=0, atol=0)

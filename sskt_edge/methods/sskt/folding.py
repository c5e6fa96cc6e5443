"""A 1×1 convolution followed by BatchNorm, without BatchNorm's pass over the wide output.

Each output channel is a weighted sum of the input's channels, so that its mean and variance over the batch follow from
the input's means μ and covariances C: w·μ and w·C·wᵀ. BatchNorm's scale and shift are then folded into the
convolution's weight and bias. If the input is narrower than the output, this saves most of BatchNorm's memory traffic,
and all branches on one stage share μ and C.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight


class Stage:
    """The output of a stage of the target, [B,C,h,w]. Its moments are computed once, on first use."""

    def __init__(self, features: Tensor) -> None:
        self.features = features

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """The channels' means [C] and covariances [C,C] over batch and pixels, computed at least in fp32."""
        with torch.autocast(self.features.device.type, enabled=False):
            mean, covariance = _Moments.apply(self.features)
        return mean, covariance


def normalised(stage: Stage, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """Compute norm(convolution(stage)) for a 1×1 convolution without bias. → [B,outputs,h,w].

    In training, the stage's moments are used if the stage has at most half as many channels as the output.
    """
    if not norm.training or 2 * convolution.in_channels > convolution.out_channels:
        normal: Tensor = norm(convolution(stage.features))
        return normal
    weight = convolution.weight.flatten(1)
    with torch.autocast(weight.device.type, enabled=False):
        mean, covariance = stage.moments
        outer_mean = weight @ mean
        outer_variance = ((weight @ covariance) * weight).sum(dim=1)
        _track(norm, outer_mean.detach(), outer_variance.detach(), stage.features[:, 0].numel())
        scale = norm.weight * (outer_variance + norm.eps).rsqrt()
        folded = weight * scale[:, None]
        shift = norm.bias - outer_mean * scale
    return F.conv2d(stage.features, folded[:, :, None, None], shift)


def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update `norm`'s running statistics as BatchNorm does, with the unbiased variance of `count` values."""
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None and norm.momentum is not None
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)


class _Moments(torch.autograd.Function):
    """[B,C,h,w] → means [C], covariances [C,C]. The backward pass is one 1×1 convolution instead of one pass each."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        count = wide[:, 0].numel()
        mean = wide.sum(dim=(2, 3)).sum(dim=0) / count
        ctx.save_for_backward(features, mean)
        if wide.dtype != features.dtype:  # from 16-bit values, E[x²] - μ² is accurate enough in fp32
            return mean, _squares(wide) / count - torch.outer(mean, mean)
        return mean, _squares(wide - mean[:, None, None]) / count

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor, of_covariance: Tensor) -> Tensor:
        features, mean = ctx.saved_tensors
        count = features[:, 0].numel()
        slope = (of_covariance + of_covariance.T) / count
        offset = of_mean / count - slope @ mean
        return F.conv2d(features, slope[:, :, None, None].to(features.dtype), offset.to(features.dtype))


def _squares(features: Tensor) -> Tensor:
    """[B,C,h,w] → the sum over batch and pixels of the channels' outer products, [C,C]."""
    channels = features.shape[1]
    if features.device.type == "cpu":  # the gradient of a 1×1 convolution is twice as fast; a GPU would use TF32 for it
        products: Tensor = conv2d_weight(features, (channels, channels, 1, 1), features)  # type: ignore[no-untyped-call]
        return products[:, :, 0, 0]
    pixels = features.flatten(2)
    return torch.bmm(pixels, pixels.transpose(1, 2)).sum(dim=0)

"""Targets from timm."""

from __future__ import annotations

from functools import partial

import timm
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn

from sskt_edge.targets.depthwise import StridedDepthwise, with_fast_depthwise
from sskt_edge.targets.packaged_lite import LITE0, NORMALISATION
from sskt_edge.targets.spec import TargetSpec
from sskt_edge.targets.timm_weights import Packaged, TimmWeights


class SameStridedDepthwise(StridedDepthwise):
    """A StridedDepthwise with TensorFlow's padding "same", which depends on the size of the features."""

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,h,w] → [B,C,⌈h/stride⌉,⌈w/stride⌉], in the dtype of `features`."""
        return super().forward(pad_same(features, list(self.kernel_size), list(self.stride), list(self.dilation)))


def efficientnet_lite0() -> TargetSpec:
    """EfficientNet-Lite0 as timm's tf_efficientnet_lite0; its stages are the last blocks at each resolution."""
    stages = {f"blocks.{n}": c for n, c in {0: 16, 1: 24, 2: 40, 4: 112, 6: 320}.items()}
    weights = TimmWeights(LITE0.timm, {"package": Packaged(LITE0.weights, NORMALISATION, LITE0.size)})
    return _spec(stages, weights)


def mobilenetv4_conv_small() -> TargetSpec:
    """MobileNetV4-Conv-Small; its stages are the groups of blocks, without the last convolution to 960 channels."""
    stages = {f"blocks.{n}": c for n, c in {0: 32, 1: 64, 2: 96, 3: 128}.items()}
    return _spec(stages, TimmWeights("mobilenetv4_conv_small"))


def _spec(stages: dict[str, int], weights: TimmWeights) -> TargetSpec:
    build = partial(_build, weights.network)
    width = list(stages.values())[-1]
    return TargetSpec(build, stages, "classifier", "classifier", transfer_width=width, weights=weights)


def _build(name: str, classes: int) -> nn.Module:
    kinds = {nn.Conv2d: StridedDepthwise, Conv2dSame: SameStridedDepthwise}
    return with_fast_depthwise(timm.create_model(name, num_classes=classes), kinds)

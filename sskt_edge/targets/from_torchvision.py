"""Targets from torchvision. The stages of those in the paper follow its supplement, figure 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn
from torchvision import models

from sskt_edge.targets.depthwise import with_fast_depthwise
from sskt_edge.targets.published_weights import TorchvisionWeights
from sskt_edge.targets.spec import TargetSpec


def mobilenet_v2() -> TargetSpec:
    """MobileNetV2; its stages are the ends of the groups of inverted residuals, up to the one with 320 channels."""
    stages = {f"features.{n}": c for n, c in {1: 16, 3: 24, 6: 32, 10: 64, 13: 96, 17: 320}.items()}
    return _spec("mobilenet_v2", stages, "classifier", "classifier.1", transfer_width=320)


def mobilenet_v3_large() -> TargetSpec:
    """MobileNetV3-Large; its stages are the last inverted residuals at each resolution."""
    return _mobilenet_v3("mobilenet_v3_large", {1: 16, 3: 24, 6: 40, 12: 112, 15: 160})


def mobilenet_v3_small() -> TargetSpec:
    """MobileNetV3-Small; its stages are the last inverted residuals at each resolution."""
    return _mobilenet_v3("mobilenet_v3_small", {1: 16, 3: 24, 8: 48, 11: 96})


def regnet_y_400mf() -> TargetSpec:
    """RegNetY-400MF; its stages are its four groups of blocks."""
    stages = {f"trunk_output.block{n}": c for n, c in {1: 48, 2: 104, 3: 208, 4: 440}.items()}
    return _spec("regnet_y_400mf", stages, "fc", "fc", transfer_width=440)


def shufflenet_v2_x1_0() -> TargetSpec:
    """ShuffleNetV2; its stages are its three groups of blocks, without the last convolution to 1024 channels."""
    stages = {"stage2": 116, "stage3": 232, "stage4": 464}
    return _spec("shufflenet_v2_x1_0", stages, "fc", "fc", transfer_width=464)


def densenet121() -> TargetSpec:
    """DenseNet121; its stages are the three transition layers."""
    stages = {f"features.transition{n}": c for n, c in {1: 128, 2: 256, 3: 512}.items()}
    return _spec("densenet121", stages, "classifier", "classifier", transfer_width=512)


def resnet18() -> TargetSpec:
    """ResNet18; its stages are conv2_x to conv5_x, as for ResNet34 and 50."""
    return _resnet("resnet18", expansion=1)


def resnet34() -> TargetSpec:
    """ResNet34."""
    return _resnet("resnet34", expansion=1)


def resnet50() -> TargetSpec:
    """ResNet50."""
    return _resnet("resnet50", expansion=4)


def _resnet(name: str, expansion: int) -> TargetSpec:
    # The widths of the published code are out = 1000, middle = 500.
    stages = {f"layer{n}": 64 * 2 ** (n - 1) * expansion for n in range(1, 5)}
    return _spec(name, stages, "fc", "fc", transfer_width=1000, branches_fan_out=True)


def _mobilenet_v3(name: str, channels: dict[int, int]) -> TargetSpec:
    # The head is the dropout: what it takes is the feature that the last layer takes in evaluation.
    stages = {f"features.{n}": c for n, c in channels.items()}
    width = list(channels.values())[-1]
    return _spec(name, stages, "classifier.2", "classifier.3", transfer_width=width, build=_build_mobilenet_v3)


def _spec(
    name: str,
    stages: dict[str, int],
    head: str,
    last_layer: str,
    transfer_width: int,
    branches_fan_out: bool = False,
    build: Callable[[str, int], nn.Module] | None = None,
) -> TargetSpec:
    made, weights = partial(build or _build, name), TorchvisionWeights(name)
    return TargetSpec(made, stages, head, last_layer, transfer_width, branches_fan_out, weights)


def _build(name: str, classes: int) -> nn.Module:
    return with_fast_depthwise(models.get_model(name, weights=None, num_classes=classes))


def _build_mobilenet_v3(name: str, classes: int) -> nn.Module:
    """MobileNetV3 whose dropout does not write into its input, which branches read."""
    network = _build(name, classes)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.inplace = False
    return network

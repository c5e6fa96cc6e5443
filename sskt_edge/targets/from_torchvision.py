"""Targets from torchvision. Their stages follow the paper's supplement, figure 1."""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision import models

from sskt_edge.targets.depthwise import with_fast_depthwise
from sskt_edge.targets.spec import TargetSpec


def mobilenet_v2() -> TargetSpec:
    """MobileNetV2; its stages are the ends of the groups of inverted residuals, up to the one with 320 channels."""
    stages = {f"features.{n}": c for n, c in {1: 16, 3: 24, 6: 32, 10: 64, 13: 96, 17: 320}.items()}
    return TargetSpec(partial(_build, "mobilenet_v2"), stages, "classifier", "classifier.1", transfer_width=320)


def densenet121() -> TargetSpec:
    """DenseNet121; its stages are the three transition layers."""
    stages = {f"features.transition{n}": c for n, c in {1: 128, 2: 256, 3: 512}.items()}
    return TargetSpec(partial(_build, "densenet121"), stages, "classifier", "classifier", transfer_width=512)


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
    return TargetSpec(partial(_build, name), stages, "fc", "fc", transfer_width=1000, branches_fan_out=True)


def _build(name: str, classes: int) -> nn.Module:
    return with_fast_depthwise(models.get_model(name, weights=None, num_classes=classes))

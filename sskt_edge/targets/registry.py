"""The compact networks, each with the places where branches may hang."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn
from torchvision import models

from sskt_edge.common.errors import NetworkError
from sskt_edge.targets.depthwise import with_fast_depthwise
from sskt_edge.targets.resnet_cifar import CifarResNet


@dataclass(frozen=True)
class TargetSpec:
    """What the method needs to know of a target.

    Attributes:
        build: number of classes → the network, freshly initialised.
        stages: module path → channels of its output, from the image to the logits.
        head: path of the module whose input is the pooled last feature [B, features].
        last_layer: path of the linear layer that gives the logits.
        transfer_width: output channels of a transfer module's bottlenecks; the middle ones are half of it.
        smallest: the smallest side of an image that leaves every stage at least one pixel to work on.
        branches_fan_out: whether the convolutions of its branches start as the published code has it for
            ResNet18, 34 and 50: normal, scaled by their outputs (He et al., 2015); else as torch starts them.
    """

    build: Callable[[int], nn.Module]
    stages: dict[str, int]
    head: str
    last_layer: str
    transfer_width: int
    smallest: int
    branches_fan_out: bool = False


def _from_torchvision(name: str, classes: int) -> nn.Module:
    return with_fast_depthwise(models.get_model(name, weights=None, num_classes=classes))


def _cifar(depth: int) -> TargetSpec:
    # The published code's widths: out = 64, the last stage's, middle = 32.
    stages = {"layer1": 16, "layer2": 32, "layer3": 64}
    return TargetSpec(partial(CifarResNet, depth), stages, "fc", "fc", transfer_width=64, smallest=8)


def _resnet(name: str, expansion: int) -> TargetSpec:
    # conv2_x … conv5_x; the published code's widths: out = 1000, middle = 500.
    stages = {f"layer{n}": 64 * 2 ** (n - 1) * expansion for n in range(1, 5)}
    build = partial(_from_torchvision, name)
    return TargetSpec(build, stages, "fc", "fc", transfer_width=1000, smallest=32, branches_fan_out=True)


# Keep in step with recipe.names.TargetName. Stages: the paper's supplement, figure 1.
TARGETS: dict[str, TargetSpec] = {
    "resnet20": _cifar(20),
    "resnet32": _cifar(32),
    "resnet44": _cifar(44),
    "resnet56": _cifar(56),
    "mobilenet_v2": TargetSpec(
        partial(_from_torchvision, "mobilenet_v2"),
        # The ends of the groups of inverted residuals; the last group goes from 160 to 320 channels.
        {f"features.{n}": c for n, c in {1: 16, 3: 24, 6: 32, 10: 64, 13: 96, 17: 320}.items()},
        head="classifier",
        last_layer="classifier.1",
        transfer_width=320,
        smallest=32,
    ),
    "resnet18": _resnet("resnet18", expansion=1),
    "resnet34": _resnet("resnet34", expansion=1),
    "resnet50": _resnet("resnet50", expansion=4),
    "densenet121": TargetSpec(
        partial(_from_torchvision, "densenet121"),
        {f"features.transition{n}": c for n, c in {1: 128, 2: 256, 3: 512}.items()},
        head="classifier",
        last_layer="classifier",
        transfer_width=512,
        smallest=32,
    ),
}


def check_size(model: str, image_size: int) -> None:
    """Refuse an image size that the target cannot take.

    Raises:
        NetworkError: the image is smaller than the target's smallest.
    """
    smallest = TARGETS[model].smallest
    if image_size < smallest:
        fits = [name for name, spec in TARGETS.items() if spec.smallest <= image_size]
        instead = f", or take one of: {', '.join(fits)}" if fits else ""
        raise NetworkError(
            f"data.image_size = {image_size}: {model} needs images of at least {smallest} pixels. "
            f"Raise data.image_size{instead}."
        )

"""The compact networks."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.catalogue.entry import Entry


@dataclass(frozen=True)
class TargetEntry(Entry):
    """A target; its code is a function without arguments that returns a `targets.spec.TargetSpec`.

    Attributes:
        inputs: the kinds of input that it accepts, entries of `catalogue.inputs`.
        smallest: the smallest size of an image that leaves every stage at least one pixel to work on.
        size: the size that `recipe new` proposes; None if it depends on the images.
    """

    inputs: tuple[str, ...] = ("image",)
    smallest: int = 32
    size: int | None = 96


def _cifar(depth: int, parameters: str) -> TargetEntry:
    what = f"{parameters} parameters; for images from 8 pixels; stages: its three groups of blocks"
    return TargetEntry(f"resnet{depth}", what, f"sskt_edge.targets.resnet_cifar:resnet{depth}", smallest=8, size=None)


def _torchvision(name: str, parameters: str, stages: str) -> TargetEntry:
    what = f"{parameters} parameters; for images from 32 pixels; torchvision weights; stages: {stages}"
    return TargetEntry(name, what, f"sskt_edge.targets.from_torchvision:{name}")


def _timm(name: str, parameters: str, weights: str, stages: str) -> TargetEntry:
    what = f"{parameters} parameters; for images from 32 pixels; {weights}; stages: {stages}"
    return TargetEntry(name, what, f"sskt_edge.targets.from_timm:{name}")


TARGETS: dict[str, TargetEntry] = {
    entry.name: entry
    for entry in (
        _cifar(20, "0.27 M"),
        _cifar(32, "0.46 M"),
        _cifar(44, "0.66 M"),
        _cifar(56, "0.85 M"),
        _torchvision("mobilenet_v2", "2.2 M", "the ends of six groups of inverted residuals"),
        _torchvision("mobilenet_v3_large", "4.2 M", "the last inverted residuals at each of five resolutions"),
        _torchvision("mobilenet_v3_small", "1.5 M", "the last inverted residuals at each of four resolutions"),
        _timm("mobilenetv4_conv_small", "2.5 M", "timm's weights", "its four groups of blocks"),
        _timm(
            "efficientnet_lite0",
            "3.4 M",
            'weights = "package" (in a Python package, extra demo) or timm\'s "in1k"',
            "the last blocks at each of five resolutions",
        ),
        _torchvision("shufflenet_v2_x1_0", "1.3 M", "its three groups of blocks"),
        _torchvision("regnet_y_400mf", "3.9 M", "its four groups of blocks"),
        _torchvision("resnet18", "11 M", "conv2_x to conv5_x"),
        _torchvision("resnet34", "21 M", "conv2_x to conv5_x"),
        _torchvision("resnet50", "24 M", "conv2_x to conv5_x"),
        _torchvision("densenet121", "7 M", "the three transition layers"),
    )
}

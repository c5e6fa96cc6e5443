"""Where heavy networks come from: the part of a source's `model` before the slash, as in "torchvision/resnet50"."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.catalogue.entry import Entry


@dataclass(frozen=True)
class SourceEntry(Entry):
    """A kind of source; its code is a function (SourceOptions, torch.device) → `sources.source.Source`.

    Attributes:
        names: the networks that may follow the slash; None for any.
        is_path: the part after the slash is the path of a folder or a file.
        serves: which of the keys "weights" and "checkpoint" it accepts; a kind with neither brings its own weights.
        has_features: whether it can give the features before its class layer.
    """

    names: tuple[str, ...] | None = None
    is_path: bool = False
    serves: frozenset[str] = frozenset()
    has_features: bool = False

    @property
    def written(self) -> str:
        """The form of `model` in a recipe: "timm/<name>", "run/<path>", "package/efficientnet_lite0"."""
        if self.names is not None and len(self.names) == 1:
            return f"{self.name}/{self.names[0]}"
        return f"{self.name}/{'<path>' if self.is_path else '<name>'}"


SOURCES: dict[str, SourceEntry] = {
    entry.name: entry
    for entry in (
        SourceEntry(
            "torchvision",
            'any classifier of torchvision: weights = "IMAGENET1K_V1", or checkpoint = FILE '
            "(Places365's resnet50_places365.pth.tar is such a file)",
            "sskt_edge.sources.from_torchvision:open_torchvision",
            serves=frozenset({"weights", "checkpoint"}),
            has_features=True,
        ),
        SourceEntry(
            "timm",
            "any network of timm, with published weights or checkpoint = FILE; one without classes, such as DINOv2, "
            'with outputs = "features"',
            "sskt_edge.sources.from_timm:open_timm",
            serves=frozenset({"checkpoint"}),
            has_features=True,
        ),
        SourceEntry(
            "package",
            "ImageNet weights that come as a Python package (efficientnet_lite2: the extra lite2)",
            "sskt_edge.sources.from_package:open_package",
            extras=("demo",),
            names=("efficientnet_lite0", "efficientnet_lite2"),
            has_features=True,
        ),
        SourceEntry(
            "cifar",
            "resnet20, 32, 44 or 56 for 32 × 32 images, with checkpoint = FILE: CIFAR's published ones",
            "sskt_edge.sources.from_cifar:open_cifar",
            names=("resnet20", "resnet32", "resnet44", "resnet56"),
            serves=frozenset({"checkpoint"}),
        ),
        SourceEntry("run", "a network that was trained here", "sskt_edge.sources.from_run:open_run", is_path=True),
        SourceEntry(
            "onnx",
            "any classifier as an ONNX file: uint8 NHWC without preprocessing, or float NCHW with mean and std; "
            "a final Softmax is removed, a final Sigmoid is refused",
            "sskt_edge.sources.from_onnx:open_onnx",
            is_path=True,
        ),
    )
}

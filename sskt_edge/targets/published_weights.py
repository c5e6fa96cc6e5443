"""Weights that torchvision publishes: find them by name, and fetch them."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision import models

from sskt_edge.common.errors import CheckpointError, DownloadError
from sskt_edge.common.text import first_line
from sskt_edge.targets.pretrained import Normalisation, refuse_unknown
from sskt_edge.targets.weights import no_pickles


@dataclass(frozen=True)
class TorchvisionWeights:
    """The weights of a network of torchvision.

    Attributes:
        network: torchvision's name of it.
    """

    network: str

    def names(self) -> tuple[str, ...]:
        """The names that torchvision gives them; its own default is the first."""
        known = models.get_model_weights(self.network)
        return tuple(dict.fromkeys([torchvision_weights(self.network, "DEFAULT").name, *known.__members__]))

    def normalisation(self, name: str) -> Normalisation:
        """The means and standard deviations that torchvision's own preprocessing for these weights has."""
        own = torchvision_weights(self.network, name).transforms()
        return Normalisation(tuple(own.mean), tuple(own.std))

    def size(self, name: str) -> int:
        """The side that torchvision's own preprocessing crops images to."""
        return int(torchvision_weights(self.network, name).transforms().crop_size[0])

    def is_local(self, name: str) -> bool:
        """Whether torch's cache has the file."""
        return _cached(torchvision_weights(self.network, name)).is_file()

    def read(self, name: str) -> dict[str, Tensor]:
        """The state dict with 1000 classes, from the local cache or the network.

        Raises:
            CheckpointError: the cached file is not a plain weights file.
            DownloadError: the weights could not be fetched.
            NetworkError: torchvision has no weights of that name.
        """
        return fetch_torchvision(self.network, torchvision_weights(self.network, name)).state_dict()


def torchvision_weights(name: str, weights: str) -> models.WeightsEnum:
    """The published weights `weights` of torchvision's network `name`, not yet fetched.

    Raises:
        NetworkError: torchvision has no weights of that name.
    """
    known = models.get_model_weights(name)
    refuse_unknown("torchvision", name, weights, list(known.__members__))
    found: models.WeightsEnum = known[weights]
    return found


def fetch_torchvision(name: str, weights: models.WeightsEnum) -> nn.Module:
    """Torchvision's network `name` with published weights, from the local cache or the network.

    A downloaded file is checked against its hash. A cached file is not, but it cannot run code.

    Raises:
        CheckpointError: the cached file is broken, or is not a plain weights file.
        DownloadError: they are not cached and could not be fetched.
    """
    try:
        # torch.hub names the file on standard output, which is for results.
        with no_pickles(), contextlib.redirect_stdout(sys.stderr):
            network: nn.Module = models.get_model(name, weights=weights)
    except (URLError, OSError, RuntimeError, EOFError) as error:
        if "loading state_dict" in str(error):
            raise CheckpointError(
                f"The cached file of {weights} in '{torch.hub.get_dir()}' holds another network's weights. "
                f"Remove it; it is then fetched again."
            ) from error
        why = first_line(error) or type(error).__name__
        if _cached(weights).is_file():
            raise CheckpointError(
                f"The cached file '{_cached(weights)}' cannot be read: {why}. Remove it; it is then fetched again."
            ) from error
        raise DownloadError(
            f"The weights {weights} are not on this machine and could not be fetched from {weights.url}: {why}. "
            f"Fetch the file elsewhere and put it at '{_cached(weights)}', or name it as checkpoint = FILE in the "
            f"recipe."
        ) from error
    return network


def _cached(weights: models.WeightsEnum) -> Path:
    """Where torchvision keeps a fetched file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name

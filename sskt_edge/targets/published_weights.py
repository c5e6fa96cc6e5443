"""Weights that torchvision publishes: find them by name, and fetch them."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn
from torchvision import models

from sskt_edge.common.errors import CheckpointError, DownloadError, NetworkError, nearest
from sskt_edge.common.text import first_line
from sskt_edge.targets.weights import no_pickles


def torchvision_weights(name: str, weights: str) -> models.WeightsEnum:
    """The published weights `weights` of torchvision's network `name`, not yet fetched.

    Raises:
        NetworkError: torchvision has no weights of that name.
    """
    try:
        known = models.get_model_weights(name)
    except ValueError:
        raise NetworkError(f"'{name}' has no published weights in torchvision; use checkpoint = FILE.") from None
    if weights not in known.__members__:
        raise NetworkError(
            f"torchvision has no weights '{weights}' of {name}. {nearest(weights, known.__members__)}"
            f"Known: {', '.join(known.__members__) or 'none'}."
        )
    found: models.WeightsEnum = known[weights]
    return found


def fetch_torchvision(name: str, weights: models.WeightsEnum) -> nn.Module:
    """Torchvision's network `name` with published weights, from the local cache or the network.

    A downloaded file is checked against its hash. A cached file is not, but it cannot run code.

    Raises:
        CheckpointError: the cached file is not a plain weights file.
        DownloadError: they are not cached and could not be fetched.
    """
    try:
        with no_pickles():
            network: nn.Module = models.get_model(name, weights=weights)
    except (URLError, OSError, RuntimeError) as error:
        if "loading state_dict" in str(error):
            raise CheckpointError(
                f"The cached file of {weights} in '{torch.hub.get_dir()}' holds another network's weights. "
                f"Remove it; it is then fetched again."
            ) from error
        why = first_line(error)
        where = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise DownloadError(
            f"The weights {weights} are not on this machine and could not be fetched from {weights.url}: {why}. "
            f"Fetch the file elsewhere and put it at '{where}', or name it as checkpoint = FILE in the recipe."
        ) from error
    return network

"""A library's network with weights from a file, which also gives the number of classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from sskt_edge.common.errors import CheckpointError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.targets.weights import load_weights, named_as, read_weights

_USUAL = 1000


def network_from_checkpoint(part: SourceOptions, checkpoint: str, build: Callable[[int], nn.Module]) -> nn.Module:
    """Build a network with as many classes as the file has, and load all of it.

    Args:
        part: the recipe's source.
        checkpoint: the weights file.
        build: number of classes → the network, initialised in any way.

    Raises:
        CheckpointError: the file is missing or broken, or belongs to another network or number of classes.
    """
    weights = read_weights(Path(checkpoint))
    network = build(_USUAL)
    weights = named_as(network, weights)
    # In torchvision and timm the last weight of every classifier belongs to its last layer; a file may have any order.
    last = [key for key in network.state_dict() if key.endswith(".weight")][-1]
    found = len(weights[last]) if last in weights else None
    if found and part.classes not in (None, found):
        raise CheckpointError(
            f"sources.{part.name}.classes = {part.classes}, but '{checkpoint}' has {found} classes. "
            f"Leave classes out, or name another file."
        )
    if found not in (None, _USUAL):
        network = build(found)
    load_weights(network, weights, checkpoint)
    return network

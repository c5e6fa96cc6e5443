"""The class layer of a network: take it off, so that the network gives its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from sskt_edge.common.errors import NetworkError


def drop_class_layer(network: nn.Module, where: str) -> str:
    """Replace the last linear layer, which gives the logits, by nothing; in place. Returns the layer's name.

    Torchvision's classifiers, other than SqueezeNet, end in such a layer.

    Args:
        network: the network.
        where: the key of the recipe, for the message.

    Raises:
        NetworkError: the network has no linear layer.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> drop_class_layer(network, "sources.imagenet"), network
        ('1', Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): Identity()
        ))
    """
    layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise NetworkError(
            f"{where}.outputs = 'features': this network has no linear layer at its end that could be left out. "
            f"Use its logits: leave out outputs."
        )
    layer: str = layers[-1]
    parent, _, name = layer.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Identity())
    return layer


def without_layers(weights: Mapping[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """The weights without those of some layers."""
    prefixes = tuple(f"{layer}." for layer in layers)
    return {key: value for key, value in weights.items() if not key.startswith(prefixes)}

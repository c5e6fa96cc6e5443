"""The pretrained weights that a target can start from, and the names by which a recipe chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from sskt_edge.common.errors import NetworkError, nearest


class Normalisation(NamedTuple):
    """Means and standard deviations of the input's channels, from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class PretrainedWeights(Protocol):
    """The pretrained weights of one network, for `target.weights`."""

    def names(self) -> tuple[str, ...]:
        """Their names; the first is the default."""

    def normalisation(self, name: str) -> Normalisation:
        """What the input was normalised with when the weights of that name were trained."""

    def size(self, name: str) -> int:
        """The side of the images that the weights of that name were trained on."""

    def is_local(self, name: str) -> bool:
        """Whether this machine has a file of that name's weights, so that reading them needs no network."""

    def read(self, name: str) -> dict[str, Tensor]:
        """The state dict of the whole network, including its last layer, with the names that the target uses.

        Raises:
            CheckpointError: the weights are not a plain weights file, or belong to another network.
            DownloadError: they are not on this machine and could not be fetched.
            MissingExtraError: the package that contains them is not installed.
            NetworkError: no weights have that name.
        """


def refuse_unknown(library: str, network: str, name: str, known: Sequence[str]) -> None:
    """Refuse a name of weights that `library` does not have for `network`.

    Raises:
        NetworkError: the name is not one of `known`; the message lists them.
    """
    if name not in known:
        raise NetworkError(
            f"{library} has no weights '{name}' of {network}. {nearest(name, known)}"
            f"Known: {', '.join(known) or 'none'}."
        )

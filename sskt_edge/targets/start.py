"""Where a new recipe's target starts: from pretrained weights, if they can be had."""

from __future__ import annotations

from typing import NamedTuple

from sskt_edge.common.errors import DownloadError, MissingExtraError
from sskt_edge.targets.pretrained import Normalisation
from sskt_edge.targets.spec import target_spec


class FoundWeights(NamedTuple):
    """Pretrained weights that can be read here.

    Attributes:
        name: their name, for target.weights.
        normalisation: what the input was normalised with when they were trained.
        size: the side of the images that they were trained on.
        others: the names of the network's other weights.
    """

    name: str
    normalisation: Normalisation
    size: int
    others: tuple[str, ...]


def find_weights(target: str) -> FoundWeights | str:
    """The first weights of a target that can be had: from a package, the cache, or the network; or why there are none.

    They are read, so that a recipe does not name what cannot be had. Once the network has failed, only cached ones are
    looked for.
    """
    weights, why = target_spec(target).weights, f"{target} has no published weights"
    if weights is None:
        return why
    names, is_offline = weights.names(), False
    for name in names:
        if is_offline and not weights.is_local(name):
            continue
        try:
            weights.read(name)
        except MissingExtraError as error:
            why = str(error)
            continue
        except DownloadError as error:
            why, is_offline = why if is_offline else str(error), True
            continue
        others = tuple(one for one in names if one != name)
        return FoundWeights(name, weights.normalisation(name), weights.size(name), others)
    return why

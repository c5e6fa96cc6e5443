"""Where a new recipe's target starts: from pretrained weights, if they can be had."""

from __future__ import annotations

from typing import NamedTuple

from sskt_edge.common.errors import DownloadError, MissingExtraError
from sskt_edge.targets.pretrained import Normalisation, PretrainedWeights
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
    """The first weights of a target that can be had, as `readable_weights` finds them; or why there are none."""
    weights = target_spec(target).weights
    if weights is None:
        return f"{target} has no published weights"
    try:
        name = readable_weights(weights)
    except (DownloadError, MissingExtraError) as error:
        return str(error)
    others = tuple(one for one in weights.names() if one != name)
    return FoundWeights(name, weights.normalisation(name), weights.size(name), others)


def readable_weights(weights: PretrainedWeights) -> str:
    """The name of the first weights that can be read, from a package, the cache, or the network.

    They are read now, so that no recipe names what cannot be had. Once the network has failed, only cached ones are
    looked for.

    Raises:
        DownloadError: they could not be fetched.
        MissingExtraError: all are in packages that are not installed.
    """
    missing: MissingExtraError | None = None
    offline: DownloadError | None = None
    for name in weights.names():
        if offline and not weights.is_local(name):
            continue
        try:
            weights.read(name)
        except MissingExtraError as error:
            missing = missing or error
        except DownloadError as error:
            offline = offline or error
        else:
            return name
    if offline:
        raise DownloadError(f"{missing} {offline}" if missing else str(offline)) from offline
    assert missing is not None, "published weights have at least one name"
    raise missing

"""Which views a probe is fitted on, where there are more than it needs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Of a rare class, this many images take part in any case, so that every fold has seen some.
_OF_EACH = 10


def views_to_fit(rows: NDArray[np.intp], strata: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """The first views of every image; of more than `most` images, one view of images that are spread evenly.

    The first images of every stratum are among them, so there may be more than `most`.

    Args:
        rows: the image of each view, [n]: first one view of every image, then a second, and so on.
        strata: the stratum of each image, such as its class, [N].
        most: the number of views that are enough.

    Returns:
        Indices into `rows`, ascending.

    >>> views_to_fit(np.array([0, 1, 2, 0, 1, 2, 0, 1, 2]), np.zeros(3, dtype=int), most=7).tolist()
    [0, 1, 2, 3, 4, 5]
    """
    images = len(np.unique(rows))
    if images <= most:
        return np.arange(min(len(rows), most // images * images))
    own = strata[rows[:images]]
    order = np.argsort(own, kind="stable")
    _, starts, counts = np.unique(own[order], return_index=True, return_counts=True)
    place = np.empty(images, dtype=np.intp)
    place[order] = np.arange(images) - np.repeat(starts, counts)
    spread = np.linspace(0, images - 1, most).astype(np.intp)
    return np.union1d(spread, np.flatnonzero(place < _OF_EACH))

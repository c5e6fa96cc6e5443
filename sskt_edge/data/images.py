"""A set of labelled images in memory, decoded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageSet:
    """N labelled images, each as a square of every side that somebody needs.

    Attributes:
        squares: side → uint8 [N,side,side,3].
        labels: int64 [N].
        hashes: uint8 [N,32], the SHA-256 of each image's own content (file or array), whatever it was resized to.
    """

    squares: Mapping[int, NDArray[np.uint8]]
    labels: NDArray[np.int64]
    hashes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

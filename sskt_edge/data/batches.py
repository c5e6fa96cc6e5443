"""The order of training images, and how an epoch is cut into batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.intp]]:
    """Rows 0…count-1 in an order drawn from (seed, epoch), cut into batches of `batch_size` or a little less.

    The batches are even (their sizes differ by one at most): every image is seen, and no small last batch spoils the
    statistics of BatchNorm.
    """
    order = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
    return np.array_split(order, steps_per_epoch(count, batch_size))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """How many batches an epoch has: as few as hold all images, and never one of a single image."""
    return max(1, min(-(-count // batch_size), count // 2))

"""The order of training images, and how an epoch is cut into batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Keys of the unlabelled order have this bit, which no epoch number reaches, so the two orders never share keys.
_UNLABELLED = 1 << 63


def epoch_batches(count: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.intp]]:
    """Rows 0…count-1 in an order drawn from (seed, epoch), cut into batches of `batch_size` or a little less.

    The batches are even (their sizes differ by one at most): every image is seen, and no small last batch spoils the
    statistics of BatchNorm.
    """
    order = _generator(seed, epoch).permutation(count)
    return np.array_split(order, steps_per_epoch(count, batch_size))


def steps_per_epoch(count: int, batch_size: int) -> int:
    """The number of batches per epoch: as few as can hold all images, but none with a single image."""
    return max(1, min(-(-count // batch_size), count // 2))


def joining(images: int, batch_size: int, ratio: float) -> list[int]:
    """How many unlabelled images join each batch of an epoch of `images` labelled ones."""
    sizes = [len(part) for part in np.array_split(np.arange(images), steps_per_epoch(images, batch_size))]
    return [round(ratio * size) for size in sizes]


def unlabelled_batches(
    count: int, per_batch: Sequence[int], seed: int, epoch: int
) -> list[tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """The unlabelled images that join each batch of an epoch: the epoch's part of one endless stream.

    The stream is pass after pass over all images, each in an order drawn from (seed, pass) alone. An epoch continues
    where the previous one ended. That place is computed, not stored, so every epoch must take equally many images.

    Args:
        count: how many unlabelled images there are, at least 1.
        per_batch: how many of them join each of the epoch's batches.
        seed: the training seed.
        epoch: the number of the epoch, from 0.

    Returns:
        For each batch (rows [U], passes [U]): which images, and the pass, from 0, to which each belongs.
    """
    total = sum(per_batch)
    places = np.arange(epoch * total, (epoch + 1) * total, dtype=np.int64)
    passes, within = places // count, places % count
    rows = np.empty(total, dtype=np.intp)
    for number in np.unique(passes).tolist():
        here = passes == number
        rows[here] = _generator(seed, _UNLABELLED + number).permutation(count)[within[here]]
    cuts = np.cumsum(per_batch)[:-1]
    return list(zip(np.split(rows, cuts), np.split(passes, cuts), strict=True))


def unlabelled_passes(count: int, per_epoch: int, seed: int, epochs: int) -> tuple[int, NDArray[np.intp]]:
    """How many passes of the stream begin within `epochs` epochs, and the rows used of the last pass, ascending.

    Args:
        count: how many unlabelled images there are, at least 1.
        per_epoch: how many of them an epoch takes.
        seed: the training seed.
        epochs: the number of epochs, at least 1.
    """
    passes = -(-per_epoch * epochs // count)
    met = per_epoch * epochs - (passes - 1) * count
    return passes, np.sort(_generator(seed, _UNLABELLED + passes - 1).permutation(count)[:met])


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, number], dtype=np.uint64)))

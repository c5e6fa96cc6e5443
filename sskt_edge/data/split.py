"""Which images go where: stratified, chosen by content and seed, so that file names and order do not matter."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray


def rank(hashes: NDArray[np.uint8], seed: int) -> NDArray[np.intp]:
    """uint8 [N,32] → the rows in an order drawn from (seed, content). One image more moves no other past another."""
    key = seed.to_bytes(8, "little")
    drawn = [hashlib.blake2b(row.tobytes(), key=key, person=b"split", digest_size=16).digest() for row in hashes]
    return np.array(sorted(range(len(drawn)), key=drawn.__getitem__), dtype=np.intp)


def hold_out(
    labels: NDArray[np.int64], order: NDArray[np.intp], share: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Cut `order` into (kept, held out): of each class its first images up to `share` are held out.

    At least one is held out and at least one kept; of a single image it is kept.
    """
    held: list[np.intp] = []
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        held.extend(rows[: min(len(rows) - 1, max(1, math.floor(share * len(rows) + 0.5)))])
    chosen = set(held)
    kept = [row for row in order if row not in chosen]
    return np.sort(np.array(kept, dtype=np.intp)), np.sort(np.array(held, dtype=np.intp))


def budget(labels: NDArray[np.int64], order: NDArray[np.intp], per_class: int) -> NDArray[np.intp]:
    """The first `per_class` rows of each class in `order`; all rows if it is 0."""
    if per_class == 0:
        return np.sort(order)
    picked = [order[labels[order] == label][:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(picked))

"""Which images go where: stratified, chosen by content and seed, so that file names and order do not matter."""

from __future__ import annotations

import hashlib
import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.errors import DataError

Rows = NDArray[np.intp]


class Division(NamedTuple):
    """Which of the training images are what; no row is in two of them, and each ascends.

    Attributes:
        labelled: those to train on, within the budget.
        validation: those kept for choosing; None if the recipe keeps none.
        rest: those that neither took.
    """

    labelled: Rows
    validation: Rows | None
    rest: Rows


def rank(hashes: NDArray[np.uint8], seed: int) -> Rows:
    """uint8 [N,32] → the rows in an order drawn from (seed, content). One image more moves no other past another."""
    key = seed.to_bytes(8, "little")
    drawn = [hashlib.blake2b(row.tobytes(), key=key, person=b"split", digest_size=16).digest() for row in hashes]
    return np.array(sorted(range(len(drawn)), key=drawn.__getitem__), dtype=np.intp)


def divide(labels: NDArray[np.int64], order: Rows, validation: float | Literal["rest"], per_class: int) -> Division:
    """Cut `order` into labelled, validation and the rest.

    A share is held out for validation first, and the budget taken from what is left. With "rest" the budget is that of
    no validation at all, and validation is everything else.

    Raises:
        DataError: validation is "rest", and the budget leaves nothing over.
    """
    if validation == "rest":
        labelled = budget(labels, order, per_class)
        left = _without(order, labelled)
        if not len(left):
            raise DataError(
                f"data.validation = 'rest': data.per_class = {per_class} takes all {len(labelled)} training images "
                f"and leaves none over. Lower data.per_class, or give data.validation a share such as 0.2."
            )
        return Division(labelled, left, left[:0])
    held = None
    if validation > 0:
        kept, held = hold_out(labels, order, validation)
        order = order[np.isin(order, kept)]
    labelled = budget(labels, order, per_class)
    return Division(labelled, held, _without(order, labelled))


def hold_out(labels: NDArray[np.int64], order: Rows, share: float) -> tuple[Rows, Rows]:
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


def budget(labels: NDArray[np.int64], order: Rows, per_class: int) -> Rows:
    """The first `per_class` rows of each class in `order`; all rows if it is 0."""
    if per_class == 0:
        return np.sort(order)
    picked = [order[labels[order] == label][:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(picked))


def _without(order: Rows, taken: Rows) -> Rows:
    return np.sort(order[~np.isin(order, taken)])

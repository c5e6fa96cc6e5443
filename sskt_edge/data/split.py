"""Assign images to parts: stratified, by content and seed, so that file names and order do not matter.

Images of the same content are never divided between two parts; an image without copies is drawn by itself.

The strata that are kept even come from `Task.strata`: int64 [N], one class per image, or bool [N,S], the classes of
each image and "none of them". An image of several strata counts for each of them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError

Rows = NDArray[np.intp]
Strata = NDArray[Any]


class Division(NamedTuple):
    """The parts of the training images, as ascending rows; no row is in two parts.

    Attributes:
        labelled: the images to train on, within the budget.
        validation: the validation images; None if the recipe has none.
        rest: the remaining images, except for copies of the labelled ones, which are in no part.
    """

    labelled: Rows
    validation: Rows | None
    rest: Rows


def rank(hashes: NDArray[np.uint8], seed: int) -> Rows:
    """uint8 [N,32] → the rows in an order drawn from (seed, content). An added image does not reorder the others."""
    key = seed.to_bytes(8, "little")
    drawn = [hashlib.blake2b(row.tobytes(), key=key, person=b"split", digest_size=16).digest() for row in hashes]
    return np.array(sorted(range(len(drawn)), key=drawn.__getitem__), dtype=np.intp)


def content_groups(hashes: NDArray[np.uint8]) -> Rows:
    """uint8 [N,32] → [N], a number for each content; copies have the same number."""
    number: dict[bytes, int] = {}
    return np.array([number.setdefault(row.tobytes(), len(number)) for row in hashes], dtype=np.intp)


def divide(strata: Strata, order: Rows, groups: Rows, validation: float | Literal["rest"], per_class: int) -> Division:
    """Cut `order` into labelled, validation and the rest.

    A share is held out for validation first, and the budget is taken from the remaining images. With "rest", the budget
    is taken as if there were no validation, and all other images are for validation. The budget is exact: if a group
    of copies exceeds it, some of them are labelled and the others are in no part.

    Args:
        strata: int64 [N] or bool [N,S].
        order: rows, as returned by rank.
        groups: [N], as returned by content_groups.
        validation: the share to hold out, or "rest".
        per_class: the budget; 0 for all.

    Raises:
        DataError: validation is "rest", and the budget takes all images.
    """
    if validation == "rest":
        labelled = budget(strata, order, per_class)
        left = _others(order, labelled, groups)
        if not len(left):
            raise DataError(
                f"data.validation = 'rest': data.per_class = {per_class} takes all {len(labelled)} training images "
                f"and leaves none for validation. Lower data.per_class, or give data.validation a share such as 0.2."
            )
        return Division(labelled, left, left[:0])
    held = None
    if validation > 0:
        kept, held = hold_out(strata, order, groups, validation)
        order = order[np.isin(order, kept)]
    labelled = budget(strata, order, per_class)
    return Division(labelled, held, _others(order, labelled, groups))


def hold_out(strata: Strata, order: Rows, groups: Rows, share: float) -> tuple[Rows, Rows]:
    """Cut `order` into (kept, held out): the first images of each stratum, up to `share`, are held out.

    At least one image of a stratum is held out and at least one is kept; a single image is kept. Copies stay together:
    a group that exceeds the share of one of its strata is kept, and later images are held out in its place. If no group
    of a stratum fits, its smallest group is held out, provided that every stratum keeps an image; if not, none is.

    If images have several strata, those of the rarest stratum are drawn first, then the undrawn ones of the next
    stratum: at the end, images of a frequent class are still left, while those of a rare class would not be. This is
    the idea of K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD (2011).
    """
    sizes = _counts(strata, order)
    wanted = np.array([_part_of(size, share) for size in sizes.tolist()], dtype=np.intp)
    together: dict[int, list[int]] = {}
    for row, group in zip(order.tolist(), groups[order].tolist(), strict=True):
        together.setdefault(group, []).append(row)
    counts = {group: _counts(strata, rows, len(sizes)) for group, rows in together.items()}
    held = np.zeros_like(wanted)
    chosen: set[int] = set()
    for group in _rarest_first(counts, sizes) if strata.ndim == 2 else counts:
        count = counts[group]
        if (held + count <= wanted)[count > 0].all():
            chosen.add(group)
            held += count
    for label in np.flatnonzero((held == 0) & (wanted > 0)):
        fitting = [group for group, count in counts.items() if count[label] and (held + count < sizes)[count > 0].all()]
        if fitting:
            group = min(fitting, key=lambda one: len(together[one]))
            chosen.add(group)
            held += counts[group]
    is_held = np.isin(groups[order], list(chosen))
    return np.sort(order[~is_held]), np.sort(order[is_held])


def _counts(strata: Strata, rows: Rows | list[int], size: int = 0) -> Rows:
    """The number of rows in each stratum. → [S]."""
    if strata.ndim == 1:
        return np.bincount(strata[rows], minlength=size)
    return np.asarray(strata[rows].sum(axis=0), dtype=np.intp)


def _rarest_first(counts: Mapping[int, Rows], sizes: Rows) -> list[int]:
    """Sort the groups by the size of their rarest stratum; groups with the same one stay in order."""
    place = np.empty_like(sizes)
    place[np.argsort(sizes, kind="stable")] = np.arange(len(sizes))
    return sorted(counts, key=lambda group: int(place[counts[group] > 0].min()))


def _part_of(size: int, share: float) -> int:
    return min(size - 1, max(1, math.floor(share * size + 0.5)))


def budget(strata: Strata, order: Rows, per_class: int) -> Rows:
    """The first `per_class` rows of each stratum in `order`; all rows if it is 0.

    A row of several strata is taken if it is among the first rows of one of them, so that a class that often occurs
    together with others has more than `per_class` rows. A larger budget contains every smaller one.
    """
    if per_class == 0:
        return np.sort(order)
    own = strata[order]
    members = (own == label for label in np.unique(own)) if strata.ndim == 1 else own.T
    return np.unique(np.concatenate([order[which][:per_class] for which in members]))


def below_budget(strata: Strata, classes: Sequence[str], per_class: int) -> str:
    """A line about the classes that have fewer images than the budget; "" if none has.

    Args:
        strata: the strata of the images within the budget.
        classes: the class names.
        per_class: the budget; 0 for all images.
    """
    counts = _counts(strata, np.arange(len(strata)), len(classes))[: len(classes)]
    short = int((counts < per_class).sum())
    if not short:
        return ""
    fewest = int(counts.argmin())
    return (
        f"data.per_class = {per_class}, but {short} of {len(classes)} classes have fewer images to train on "
        f"(the smallest: '{classes[fewest]}' with {counts[fewest]})"
    )


def _others(order: Rows, taken: Rows, groups: Rows) -> Rows:
    """The rows of `order` that are neither taken nor copies of a taken row."""
    return np.sort(order[~np.isin(groups[order], groups[taken])])

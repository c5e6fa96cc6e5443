"""Unlabelled images: the folder that holds them, and which of them must not take part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sskt_edge.catalogue.data_sets import DATA_SETS, unlabelled_words
from sskt_edge.common.errors import DataError, nearest
from sskt_edge.common.progress import Progress
from sskt_edge.data.images import ImageSet
from sskt_edge.images.listing import FolderListing, list_images
from sskt_edge.recipe.models import DataOptions


def list_unlabelled(data: DataOptions) -> FolderListing | None:
    """The folder that data.unlabelled names, listed; None where it names none.

    Raises:
        DataError: it is not there, or holds no image; or the data set's items are no images.
    """
    if data.unlabelled in ("", *unlabelled_words()):
        return None
    entry = DATA_SETS[data.name]
    if not entry.holds_images:
        raise DataError(
            f"data.unlabelled = '{data.unlabelled}' is a folder of images; the items of data.name = '{data.name}' are "
            f"of kind '{entry.input}', which no folder gives. Leave the key out, or take 'rest'."
        )
    try:
        return list_images(Path(data.unlabelled))
    except DataError as error:
        meant = nearest(data.unlabelled, unlabelled_words())
        raise DataError(f"data.unlabelled = '{data.unlabelled}': {error} {meant}".strip()) from error


def unlabelled_notes(listing: FolderListing | None) -> list[str]:
    """What of the folder of unlabelled images was not taken, as a line for the user; no line if nothing."""
    return [] if listing is None else listing.left_out.notes("data.unlabelled, ")


def unknown_rows(
    data: DataOptions, contents: NDArray[np.uint8], known: Mapping[str, NDArray[np.uint8]], progress: Progress
) -> NDArray[np.intp]:
    """The unlabelled images whose content no other image of the recipe has; the number left out is reported.

    A test image among them would let the training see the test, and a labelled or validation image is met already.

    Args:
        data: the recipe's part.
        contents: uint8 [N,32], the SHA-256 of each unlabelled image.
        known: what images are called, such as "test images" → uint8 [M,32]. The first that has an image counts it.
        progress: says how many are left out.

    Returns:
        The rows that take part, ascending.

    Raises:
        DataError: none does.
    """
    what_is: dict[bytes, str] = {}
    for what, hashes in known.items():
        for row in hashes:
            what_is.setdefault(row.tobytes(), what)
    found = [what_is.get(row.tobytes()) for row in contents]
    counts = Counter(what for what in found if what is not None)
    left_out = " and ".join(f"{counts[what]:,} of the {what}" for what in known if counts[what])
    rows = np.array([row for row, what in enumerate(found) if what is None], dtype=np.intp)
    if not len(rows):
        why = f"all it holds are {left_out}" if left_out else "it holds none that can be read"
        todo = "Lower data.per_class" if data.unlabelled == "rest" else "Name other images"
        raise DataError(f"data.unlabelled = '{data.unlabelled}' leaves no image: {why}. {todo}, or leave the key out.")
    if left_out:
        progress.say(f"data.unlabelled = '{data.unlabelled}': left out by content are {left_out}")
    return rows


def packed(images: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    """[N,...] and ascending rows [K] → [K,...], moved to the front of the same memory: a copy would take it twice."""
    for place, row in enumerate(rows.tolist()):
        if place != row:
            images[place] = images[row]
    return images[: len(rows)]


def packed_images(images: ImageSet, rows: NDArray[np.intp]) -> ImageSet:
    """Ascending rows of images, in the memory of all of them, which are lost."""
    return ImageSet(
        {size: packed(items, rows) for size, items in images.resized.items()},
        images.labels[rows],
        images.hashes[rows],
        tuple(images.names[row] for row in rows),
        None if images.weights is None else images.weights[rows],
    )

"""Unlabelled images: the folder that holds them, and which of them must be left out."""

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
    """The folder that data.unlabelled names, listed; None if it names none.

    Raises:
        DataError: the folder is missing or holds no image; or the items of the data set are not images.
    """
    if data.unlabelled in ("", *unlabelled_words()):
        return None
    entry = DATA_SETS[data.name]
    if not entry.holds_images:
        raise DataError(
            f"data.unlabelled = '{data.unlabelled}' is a folder of images; the items of data.name = '{data.name}' are "
            f"of kind '{entry.input}', which cannot be read from a folder. Leave the key out, or use 'rest'."
        )
    try:
        return list_images(Path(data.unlabelled))
    except DataError as error:
        meant = nearest(data.unlabelled, unlabelled_words())
        raise DataError(f"data.unlabelled = '{data.unlabelled}': {error} {meant}".strip()) from error


def unlabelled_notes(listing: FolderListing | None) -> list[str]:
    """A line on what was ignored in the folder of unlabelled images; no line if nothing was."""
    return [] if listing is None else listing.left_out.notes("data.unlabelled, ")


def unknown_rows(
    data: DataOptions, contents: NDArray[np.uint8], known: Mapping[str, NDArray[np.uint8]], progress: Progress
) -> NDArray[np.intp]:
    """Find the unlabelled images that are not copies of other images of the recipe, and report how many are.

    A test image among them would leak into training, and a labelled or validation image is already in use.

    Args:
        data: the recipe's table [data].
        contents: uint8 [N,32], the SHA-256 of each unlabelled image.
        known: a name of images, such as "test images" → uint8 [M,32]. A copy counts for the first name that has it.
        progress: reports how many are left out.

    Returns:
        The rows that take part, ascending.

    Raises:
        DataError: no image takes part.
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
        why = f"all of them are copies of {left_out}" if left_out else "none of them can be read"
        todo = "Lower data.per_class" if data.unlabelled == "rest" else "Name other images"
        raise DataError(f"data.unlabelled = '{data.unlabelled}' leaves no image: {why}. {todo}, or remove the key.")
    if left_out:
        progress.say(f"data.unlabelled = '{data.unlabelled}': left out because their content equals {left_out}")
    return rows


def packed(images: NDArray[np.uint8], rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    """[N,...] and ascending rows [K] → [K,...], moved to the front of the same memory: a copy would double it."""
    for place, row in enumerate(rows.tolist()):
        if place != row:
            images[place] = images[row]
    return images[: len(rows)]


def packed_images(images: ImageSet, rows: NDArray[np.intp]) -> ImageSet:
    """Pick ascending rows of images in place: they overwrite the memory of the whole set."""
    return ImageSet(
        {size: packed(items, rows) for size, items in images.resized.items()},
        images.labels[rows],
        images.hashes[rows],
        tuple(images.names[row] for row in rows),
        None if images.weights is None else images.weights[rows],
    )

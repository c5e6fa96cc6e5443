"""A look at a user's folder of images before there is a recipe: classes, counts, sizes, and what cannot be read."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sskt_edge.data.folder import find_split
from sskt_edge.errors import DataError, printable
from sskt_edge.runtime.folder import FolderListing
from sskt_edge.runtime.images import read_image
from sskt_edge.runtime.progress import QUIET, Progress


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        root: as the user gave it.
        train: class → number of images, those that cannot be read counted too.
        test: likewise; None if the folder is not divided into parts, so that a share must be held out.
        short_sides: smallest, median and largest short side, in pixels.
        unreadable: a message for each image that cannot be read.
        notes: how the folders were read, one line each.
        not_taken: what of the folder was not taken, in one line; "" if nothing.
    """

    root: Path
    train: dict[str, int]
    test: dict[str, int] | None
    short_sides: tuple[int, int, int]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]
    not_taken: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "root": str(self.root)}


def survey(root: Path, progress: Progress = QUIET) -> Survey:
    """Read every image of a folder once, and say what it holds.

    Raises:
        DataError: the folder is not one to train on, or nothing of a class can be read.
    """
    split = find_split(root)
    train, test = split.train, split.test
    sides, unreadable = _read_all([*train.paths, *(test.paths if test else ())], progress)
    for part, at in ((train, 0), (test, len(train.paths))):
        if part is not None:
            _some_readable(part, sides[at : at + len(part.paths)])
    good = [side for side in sides if side]
    middle = round(statistics.median(good))
    return Survey(
        root=root,
        train=_counts(train),
        test=_counts(test) if test else None,
        short_sides=(min(good), middle, max(good)),
        unreadable=unreadable,
        notes=tuple(split.notes),
        not_taken=str(split.left_out),
    )


def _read_all(paths: list[Path], progress: Progress) -> tuple[list[int], tuple[str, ...]]:
    """The short side of every image, 0 for one that cannot be read; and a message for each of those."""

    def side_or_fault(path: Path) -> int | str:
        try:
            return min(read_image(path)[1].size)
        except DataError as error:
            return str(error)

    sides, unreadable = [], []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool, progress.bar("look at images", len(paths)) as bar:
        for found in pool.map(side_or_fault, paths):
            bar.advance()
            sides.append(found if isinstance(found, int) else 0)
            if isinstance(found, str):
                unreadable.append(found)
    return sides, tuple(unreadable)


def _some_readable(listing: FolderListing, sides: list[int]) -> None:
    for label, name in enumerate(listing.classes):
        if not any(side for side, own in zip(sides, listing.labels, strict=True) if own == label):
            raise DataError(
                f"No image of class '{name}' in '{printable(listing.root)}' can be read. Mend them or remove the class."
            )


def _counts(listing: FolderListing) -> dict[str, int]:
    counts = Counter(listing.labels.tolist())
    return {name: counts[label] for label, name in enumerate(listing.classes)}

"""A look at a user's folder of images before there is a recipe: classes, counts, sizes, and what cannot be read."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sskt_edge.errors import DataError
from sskt_edge.runtime.folder import FolderListing, list_classes
from sskt_edge.runtime.images import read_image
from sskt_edge.runtime.progress import QUIET, Progress


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        root: as the user gave it.
        train: class → number of images, those that cannot be read counted too.
        test: likewise; None if the folder has no train/ and test/, so that a share must be held out.
        short_sides: smallest, median and largest short side, in pixels.
        unreadable: a message for each image that cannot be read.
    """

    root: Path
    train: dict[str, int]
    test: dict[str, int] | None
    short_sides: tuple[int, int, int]
    unreadable: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "root": str(self.root)}


def survey(root: Path, progress: Progress = QUIET) -> Survey:
    """Read every image of a folder once, and say what is there.

    Raises:
        DataError: the folder is missing or has no classes, a class is empty, or nothing can be read.
    """
    split = (root / "train").is_dir() and (root / "test").is_dir()
    train = list_classes(root / "train" if split else root)
    test = list_classes(root / "test") if split else None
    sides, unreadable = _read_all(train.paths + (test.paths if test else []), progress)
    if not sides:
        raise DataError(f"None of the images of '{root}' can be read. The first: {unreadable[0]}")
    middle = round(statistics.median(sides))
    return Survey(
        root, _counts(train), _counts(test) if test else None, (min(sides), middle, max(sides)), tuple(unreadable)
    )


def _read_all(paths: list[Path], progress: Progress) -> tuple[list[int], list[str]]:
    """The short sides of the images that can be read, and a message for each that cannot."""

    def short_side(path: Path) -> int | str:
        try:
            return min(read_image(path)[1].size)
        except DataError as error:
            return str(error)

    sides, unreadable = [], []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool, progress.bar("look at images", len(paths)) as bar:
        for found in pool.map(short_side, paths):
            bar.advance()
            if isinstance(found, int):
                sides.append(found)
            else:
                unreadable.append(found)
    return sides, unreadable


def _counts(listing: FolderListing) -> dict[str, int]:
    counts = Counter(listing.labels.tolist())
    return {name: counts[label] for label, name in enumerate(listing.classes)}

"""Inspect a user's folder of images before there is a recipe: classes, counts, sizes, and unreadable files."""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import printable
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.data.copies import Copies, find_copies, join_parts
from sskt_edge.data.image_folder import find_split
from sskt_edge.data.images import ImageSet, digests_as_array, short_name
from sskt_edge.images.decode import read_image
from sskt_edge.images.listing import FolderListing
from sskt_edge.images.read_ahead import read_in_order


@dataclass(frozen=True)
class Survey:
    """The contents of a folder.

    Attributes:
        root: the folder as the user gave it.
        train: class → number of training images, including unreadable ones.
        fewest: the number of different training images that can be read, of the class with the fewest.
        test: class → number of test images; None if the folder is not divided into parts, so that a share must be held
            out.
        short_sides: smallest, median and largest short side, in pixels.
        unreadable: a message for each image that cannot be read.
        notes: how the folders were read, one line each.
        not_taken: what in the folder was ignored, in one line; "" if nothing was.
        copies: images that are in both parts or in two classes.
    """

    root: Path
    train: dict[str, int]
    fewest: int
    test: dict[str, int] | None
    short_sides: tuple[int, int, int]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]
    not_taken: str
    copies: Copies


@dataclass(frozen=True)
class _Seen:
    """The findings on one file: its short side, or 0 if it cannot be read; its SHA-256, or an error message."""

    short_side: int
    digest: bytes = b""
    fault: str = ""


def survey(root: Path, progress: Progress = QUIET) -> Survey:
    """Read every image of a folder once, and describe its contents.

    Raises:
        DataError: the folder cannot be trained on, or no image of some class can be read.
    """
    split = find_split(root)
    train, test = split.train, split.test
    seen = _read_all([*train.paths, *(test.paths if test else ())], progress)
    parts = {"training": (train, seen[: len(train.paths)])}
    if test is not None:
        parts["test"] = (test, seen[len(train.paths) :])
    for listing, of_part in parts.values():
        _some_readable(listing, [one.short_side for one in of_part])
    good = [one.short_side for one in seen if one.short_side]
    contents = {name: _contents(*part, root) for name, part in parts.items()}
    return Survey(
        root=root,
        train=_counts(train),
        fewest=_fewest(contents["training"]),
        test=_counts(test) if test else None,
        short_sides=(min(good), round(statistics.median(good)), max(good)),
        unreadable=tuple(one.fault for one in seen if one.fault),
        notes=tuple(split.notes),
        not_taken=str(split.left_out),
        copies=find_copies(join_parts(contents)),
    )


def _read_all(paths: list[Path], progress: Progress) -> list[_Seen]:
    def look(path: Path) -> _Seen:
        try:
            content, image = read_image(path)
        except DataError as error:
            return _Seen(0, fault=str(error))
        return _Seen(min(image.size), hashlib.sha256(content).digest())

    seen = []
    with progress.bar("inspect images", len(paths)) as bar:
        for one in read_in_order(paths, look):
            bar.advance()
            seen.append(one)
    return seen


def _contents(listing: FolderListing, seen: list[_Seen], root: Path) -> ImageSet:
    """The images that can be read, without their pixels."""
    rows = np.flatnonzero([one.short_side for one in seen])
    names = tuple(short_name(listing.paths[row], root) for row in rows)
    return ImageSet({}, listing.labels[rows], digests_as_array([seen[row].digest for row in rows]), names)


def _some_readable(listing: FolderListing, short_sides: list[int]) -> None:
    readable = set(np.unique(listing.labels[np.flatnonzero(short_sides)]).tolist())
    for label, name in enumerate(listing.classes):
        if label not in readable:
            raise DataError(
                f"No image of class '{name}' in '{printable(listing.root)}' can be read. Fix them or remove the class."
            )


def _fewest(images: ImageSet) -> int:
    different = {
        (label, content.tobytes()) for label, content in zip(images.labels.tolist(), images.hashes, strict=True)
    }
    return min(Counter(label for label, _ in different).values())


def _counts(listing: FolderListing) -> dict[str, int]:
    counts = Counter(listing.labels.tolist())
    return {name: counts[label] for label, name in enumerate(listing.classes)}

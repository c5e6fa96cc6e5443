"""A user's own images: root/train/<class> and root/test/<class>, or root/<class> split by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.split import budget, hold_out, rank
from sskt_edge.errors import DataError
from sskt_edge.recipe.models import Data
from sskt_edge.runtime.files import sha256_of
from sskt_edge.runtime.folder import FolderListing, list_classes, load
from sskt_edge.runtime.images import short_side
from sskt_edge.runtime.progress import Progress

# Sub-folders of these names are parts of a data set, not classes.
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}


def find_split(root: Path) -> tuple[FolderListing, FolderListing | None]:
    """The training images and the test images of a folder; None where a share must be held out.

    Raises:
        DataError: the folder is missing, has no classes or a single one, a class is empty, or train and test differ.
    """
    parts = {path.name for path in root.iterdir() if path.is_dir()} & _PARTS if root.is_dir() else set()
    if {"train", "test"} <= parts:
        train, test = list_classes(root / "train"), list_classes(root / "test")
        _same_classes(train, test)
    elif parts:
        raise DataError(
            f"'{root}' has {', '.join(f'{part}/' for part in sorted(parts))} but not both train/ and test/. Give it "
            f"train/<class> and test/<class>, or name the folder that holds the classes themselves."
        )
    else:
        train, test = list_classes(root), None
    if len(train.classes) < 2:
        raise DataError(f"'{train.root}' has one class, '{train.classes[0]}': nothing to tell apart. Add another.")
    fewest = int(np.bincount(train.labels).min())
    if test is None and fewest < 2:
        name = train.classes[int(np.bincount(train.labels).argmin())]
        raise DataError(f"Class '{name}' of '{root}' has one image; it needs one to train and one to test. Add images.")
    return train, test


class FolderReader:
    """An image folder that has been listed.

    Raises:
        DataError: as find_split.
    """

    def __init__(self, data: Data) -> None:
        self._data = data
        self._listing, self._given_test = find_split(Path(data.root))
        self.classes = self._listing.classes
        self.skipped: list[str] = []

    @cached_property
    def own_side(self) -> int:
        """The short side of the largest training image, read from the files' heads alone."""
        return max(short_side(path) for path in self._listing.paths)

    def training(self, sides: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """Read and decode the chosen training images, and the validation images if there are any.

        The test images are opened and let go, so that one that cannot be read is met now, not after the training.
        """
        train, validation, test = self._parts(progress)
        loaded = self._load(train, sides, progress)
        if not self._data.skip_bad:
            load(test, (), progress=progress)
        return loaded, self._load(validation, sides[:1], progress) if validation else None

    def test(self, sides: Sequence[int], progress: Progress) -> ImageSet:
        """Read and decode the test images."""
        return self._load(self._parts(progress)[2], sides, progress)

    def _parts(self, progress: Progress) -> tuple[FolderListing, FolderListing | None, FolderListing]:
        """Training within the budget, validation, test; drawn by content, so it reads every file where it must draw."""
        data, listing, test = self._data, self._listing, self._given_test
        if test is not None and data.validation == 0 and data.per_class == 0:
            return listing, None, test
        order = rank(_file_hashes(listing, progress), data.split_seed)
        if test is None:
            order, held = _split(listing, order, data.test_share)
            test = _pick(listing, held)
        validation = None
        if data.validation > 0:
            order, held = _split(listing, order, data.validation)
            validation = _pick(listing, held)
        return _pick(listing, budget(listing.labels, order, data.per_class)), validation, test

    def _load(self, listing: FolderListing, sides: Sequence[int], progress: Progress) -> ImageSet:
        loaded = load(listing, sides, self._data.skip_bad, progress)
        self.skipped += loaded.skipped
        hashes = np.frombuffer(b"".join(loaded.hashes), dtype=np.uint8).reshape(-1, 32)
        return ImageSet(loaded.squares, loaded.labels, hashes)


def _split(listing: FolderListing, order: NDArray[np.intp], share: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(what is left of `order`, in its order; the rows held out)."""
    kept, held = hold_out(listing.labels, order, share)
    return order[np.isin(order, kept)], held


def _pick(listing: FolderListing, rows: NDArray[np.intp]) -> FolderListing:
    return replace(listing, paths=[listing.paths[row] for row in rows], labels=listing.labels[rows])


def _file_hashes(listing: FolderListing, progress: Progress) -> NDArray[np.uint8]:
    digests = []
    with progress.bar("hash images", len(listing.paths)) as bar:
        for path in listing.paths:
            digests.append(bytes.fromhex(sha256_of(path)))
            bar.advance()
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


def _same_classes(train: FolderListing, test: FolderListing) -> None:
    only_train, only_test = set(train.classes) - set(test.classes), set(test.classes) - set(train.classes)
    if only_train or only_test:
        raise DataError(
            f"The classes of '{train.root}' and '{test.root}' differ: only in train: {sorted(only_train) or 'none'}; "
            f"only in test: {sorted(only_test) or 'none'}. Rename the folders so that both hold the same classes."
        )

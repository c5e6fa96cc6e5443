"""A user's own images: root/train/<class> and root/test/<class>, or root/<class> split by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sskt_edge.data.images import ImageSet
from sskt_edge.data.split import budget, hold_out, rank
from sskt_edge.errors import DataError
from sskt_edge.recipe.models import Data
from sskt_edge.runtime.files import sha256_of
from sskt_edge.runtime.folder import FolderListing, list_classes, load
from sskt_edge.runtime.progress import Progress


class FolderReader:
    """An image folder that has been listed.

    Raises:
        DataError: the folder is missing or empty, train and test have other classes, or a class has too few images.
    """

    def __init__(self, data: Data) -> None:
        self._data = data
        self.skipped: list[str] = []
        root = Path(data.root)
        if (root / "train").is_dir() and (root / "test").is_dir():
            train, self._test = list_classes(root / "train"), list_classes(root / "test")
            _same_classes(train, self._test)
            train_rows = np.arange(len(train.paths))
        else:
            train = list_classes(root)
            hashes = _file_hashes(train)
            train_rows, test_rows = hold_out(train.labels, rank(hashes, data.split_seed), data.test_share)
            self._test = _pick(train, test_rows)
        self.classes = train.classes
        self._train, self._validation = self._choose(_pick(train, train_rows))
        _every_class_trains(self._train)
        self.own_side = max(_short_side(path) for path in self._train.paths)

    def training(self, sides: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """Read and decode the chosen training images, and the validation images if there are any."""
        train = self._load(self._train, sides, progress)
        validation = self._load(self._validation, sides[:1], progress) if self._validation else None
        return train, validation

    def test(self, sides: Sequence[int], progress: Progress) -> ImageSet:
        """Read and decode the test images."""
        return self._load(self._test, sides, progress)

    def _choose(self, listing: FolderListing) -> tuple[FolderListing, FolderListing | None]:
        if self._data.validation == 0 and self._data.per_class == 0:
            return listing, None
        order = rank(_file_hashes(listing), self._data.split_seed)
        validation = None
        if self._data.validation > 0:
            kept, held = hold_out(listing.labels, order, self._data.validation)
            validation = _pick(listing, held)
            order = order[np.isin(order, kept)]
        return _pick(listing, budget(listing.labels, order, self._data.per_class)), validation

    def _load(self, listing: FolderListing, sides: Sequence[int], progress: Progress) -> ImageSet:
        loaded = load(listing, sides, self._data.skip_bad, progress)
        self.skipped += loaded.skipped
        hashes = np.frombuffer(b"".join(loaded.hashes), dtype=np.uint8).reshape(-1, 32)
        return ImageSet(loaded.squares, loaded.labels, hashes)


def _pick(listing: FolderListing, rows: NDArray[np.intp]) -> FolderListing:
    return replace(listing, paths=[listing.paths[row] for row in rows], labels=listing.labels[rows])


def _file_hashes(listing: FolderListing) -> NDArray[np.uint8]:
    digests = b"".join(bytes.fromhex(sha256_of(path)) for path in listing.paths)
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)


def _short_side(path: Path) -> int:
    """Read from the file's head alone; a broken file counts as 0 and is met again when it is decoded."""
    try:
        with Image.open(path) as image:
            return min(image.size)
    except Exception:  # Pillow raises many kinds for broken files; decoding reports them properly
        return 0


def _every_class_trains(train: FolderListing) -> None:
    missing = [name for label, name in enumerate(train.classes) if label not in train.labels]
    if missing:
        raise DataError(
            f"Class '{missing[0]}' of '{train.root}' has too few images: none is left to train with, as the test and "
            f"the validation take at least one each. Add images of it, or remove the class."
        )


def _same_classes(train: FolderListing, test: FolderListing) -> None:
    only_train, only_test = set(train.classes) - set(test.classes), set(test.classes) - set(train.classes)
    if only_train or only_test:
        raise DataError(
            f"The classes of '{train.root}' and '{test.root}' differ: only in train: {sorted(only_train) or 'none'}; "
            f"only in test: {sorted(only_test) or 'none'}. Rename the folders so that both hold the same classes."
        )

"""Image files that are listed first: they are assigned to parts by content, and each is read only when needed."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError
from sskt_edge.common.files import sha256_of
from sskt_edge.common.printable import printable
from sskt_edge.common.progress import Progress
from sskt_edge.data.images import ImageSet, digests_as_array
from sskt_edge.data.split import Strata, content_groups, divide, hold_out, rank
from sskt_edge.data.unlabelled import packed_images, unknown_rows
from sskt_edge.images.decode import short_side
from sskt_edge.images.listing import FolderListing, LoadedFolder, load
from sskt_edge.recipe.models import DataOptions


class _Parts(NamedTuple):
    """The listings that a recipe asks for; no file is in two of them."""

    labelled: FolderListing
    validation: FolderListing | None
    rest: FolderListing
    test: FolderListing


class Listings(NamedTuple):
    """The files of a data set as they were found.

    Attributes:
        train: the training images, or all images if a share must be held out for the test.
        test: the test images; None if a share must be held out.
        unlabelled: the folder that data.unlabelled names; None if it names none.
    """

    train: FolderListing
    test: FolderListing | None
    unlabelled: FolderListing | None


class ListingReader(ABC):
    """A data set of image files that are listed but not opened yet. A subclass knows the label of each file.

    Attributes:
        data: the recipe's table [data].
        classes: the class names, in the order of the labels.
        skipped: the unreadable files that were skipped, one line each.
        notes: notes on the files for the user, one line each.
    """

    def __init__(self, data: DataOptions, classes: Sequence[str], listings: Listings, notes: list[str]) -> None:
        self.data, self.classes, self.notes = data, tuple(classes), notes
        self.skipped: list[str] = []
        self._listing, self._given_test, self._unlabelled = listings
        self._digests: dict[Path, bytes] = {}
        self._test_contents: ImageSet | None = None

    @abstractmethod
    def strata(self, listing: FolderListing) -> Strata:
        """The strata that are kept even when images are assigned to parts, as returned by `Task.strata`."""

    @abstractmethod
    def image_set(self, loaded: LoadedFolder, asked: FolderListing) -> ImageSet:
        """Decoded files with their labels; files with label -1 in the listing have none.

        Args:
            loaded: the files of `asked` that could be read.
            asked: the requested files.
        """

    @cached_property
    def own_size(self) -> int:
        """The short side of the largest training image, read from the file headers alone."""
        return max(short_side(path) for path in self._listing.paths)

    def training(self, sizes: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """Read and decode the chosen training images, and the validation images if there are any.

        The test images are opened too, so that an unreadable one is found now, not after training.
        """
        parts = self._parts(progress)
        loaded = self._load(parts.labelled, sizes, progress)
        self.test_contents(progress)
        return loaded, self._load(parts.validation, sizes[:1], progress) if parts.validation else None

    def unlabelled(self, sizes: Sequence[int], progress: Progress) -> ImageSet | None:
        """Read and decode the images of data.unlabelled, if it names any, without exact copies of other files.

        Raises:
            DataError: an image cannot be read, or none is left.
        """
        if not self.data.unlabelled:
            return None
        parts = self._parts(progress)
        images = self._load(self._unlabelled or _without_classes(parts.rest), sizes, progress)
        known = {"test images": parts.test, "labelled training images": parts.labelled}
        if parts.validation:
            known["validation images"] = parts.validation
        hashes = {what: self._hashes(listing, progress) for what, listing in known.items()}
        rows = unknown_rows(self.data, images.hashes, hashes, progress)
        return packed_images(images, rows)

    def test_contents(self, progress: Progress) -> ImageSet:
        """The readable test images without their pixels; each file is decoded once and its pixels are dropped.

        Raises:
            DataError: an image cannot be read, and data.skip_bad is false.
        """
        if self._test_contents is None:
            test = self._parts(progress).test
            self._test_contents = self.image_set(load(test, (), self.data.skip_bad, progress), test)
        return self._test_contents

    def test(self, sizes: Sequence[int], progress: Progress) -> ImageSet:
        """Read and decode the test images."""
        return self._load(self._parts(progress).test, sizes, progress)

    def _parts(self, progress: Progress) -> _Parts:
        """Assign the files to parts. If parts must be drawn, every file is read, because its content decides."""
        data, listing, test = self.data, self._listing, self._given_test
        if test is not None and data.validation == 0 and data.per_class == 0:
            return _Parts(listing, None, _pick(listing, np.zeros(0, dtype=np.intp)), test)
        hashes = self._hashes(listing, progress)
        order, groups, strata = rank(hashes, data.split_seed), content_groups(hashes), self.strata(listing)
        if test is None:
            kept, held = hold_out(strata, order, groups, data.test_share)
            order, test = order[np.isin(order, kept)], _pick(listing, held)
            _every_class_in(strata[held], self.classes, listing.root)
        labelled, validation, rest = divide(strata, order, groups, data.validation, data.per_class)
        return _Parts(
            _pick(listing, labelled),
            None if validation is None else _pick(listing, validation),
            _pick(listing, rest),
            test,
        )

    def _load(self, listing: FolderListing, sizes: Sequence[int], progress: Progress) -> ImageSet:
        loaded = load(listing, sizes, self.data.skip_bad, progress)
        self.skipped += loaded.skipped
        self._digests.update(zip(loaded.paths, loaded.hashes, strict=True))
        return self.image_set(loaded, listing)

    def _hashes(self, listing: FolderListing, progress: Progress) -> NDArray[np.uint8]:
        """uint8 [N,32], the SHA-256 of each file; each file is read only once for it."""
        new = [path for path in listing.paths if path not in self._digests]
        with progress.bar("hash images", len(new)) as bar:
            for path in new:
                self._digests[path] = _digest(path)
                bar.advance()
        return digests_as_array([self._digests[path] for path in listing.paths])


def _digest(path: Path) -> bytes:
    """A file's SHA-256; that of no bytes if it cannot be opened, which is reported when it is decoded."""
    try:
        return bytes.fromhex(sha256_of(path))
    except OSError:
        return hashlib.sha256().digest()


def _pick(listing: FolderListing, rows: NDArray[np.intp]) -> FolderListing:
    return replace(listing, paths=[listing.paths[row] for row in rows], labels=listing.labels[rows])


def _without_classes(listing: FolderListing) -> FolderListing:
    return replace(listing, classes=(), labels=np.full(len(listing.paths), -1, dtype=np.int64))


def _every_class_in(held: Strata, classes: Sequence[str], root: Path) -> None:
    """With one class per image, require test images of every class; with several, a class may have none."""
    lacking = sorted(set(range(len(classes))) - set(held.tolist())) if held.ndim == 1 else []
    if lacking:
        raise DataError(
            f"Class '{classes[lacking[0]]}' of '{printable(root)}' consists of copies of one image, so none "
            f"can be held out for the test without a copy of it in the training set. Add other images."
        )

"""A user's own images: root/train/<class> and root/test/<class>, or root/<class> split by a seed."""

from __future__ import annotations

import hashlib
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
from sskt_edge.data.images import ImageSet, digests_as_array, images_from_folder
from sskt_edge.data.split import content_groups, divide, hold_out, rank
from sskt_edge.data.unlabelled import list_unlabelled, packed_images, unknown_rows, unlabelled_notes
from sskt_edge.images.class_names import class_folders, spelled
from sskt_edge.images.decode import short_side
from sskt_edge.images.left_out import LeftOut
from sskt_edge.images.listing import Expected, FolderListing, list_classes, load
from sskt_edge.images.parts import Parts, find_parts, note_of_other_parts
from sskt_edge.images.walk import sub_folders
from sskt_edge.recipe.models import DataOptions


class Split(NamedTuple):
    """The labelled images of a folder.

    Attributes:
        train: the training images.
        test: the test images; None where a share must be held out.
        notes: what a user should know of the choice of the folders, one line each.
        left_out: what of the folder was not taken.
    """

    train: FolderListing
    test: FolderListing | None
    notes: list[str]
    left_out: LeftOut


def find_split(root: Path, unlabelled: Path | None = None) -> Split:
    """The training images and the test images of a folder.

    Args:
        root: the folder.
        unlabelled: the folder of unlabelled images, which may lie in `root`.

    Raises:
        DataError: the folder is missing, cannot be listed or is not divided as it must be, has no classes or a single
            one, a class is empty, or train and test differ.
    """
    parts = find_parts(root)
    if parts is None:
        train = list_classes(root)
        split = Split(train, None, note_of_other_parts(root), train.left_out)
    else:
        train, test = _train_and_test(parts)
        split = Split(train, test, parts.notes(unlabelled), parts.left_out + train.left_out + test.left_out)
    if len(train.classes) < 2:
        raise DataError(
            f"'{printable(train.root)}' has only one class, '{train.classes[0]}'; training needs two. Add another."
        )
    fewest = int(np.bincount(train.labels).min())
    if split.test is None and fewest < 2:
        name = train.classes[int(np.bincount(train.labels).argmin())]
        raise DataError(
            f"Class '{name}' of '{printable(root)}' has one image; it needs one to train and one to test. Add images."
        )
    return split


def _train_and_test(parts: Parts) -> tuple[FolderListing, FolderListing]:
    train, test = parts.found.get("train"), parts.test
    if train is not None and test is not None:
        expected = Expected(class_folders(test, sub_folders(test)[0]), f"{test.name}/")
        listing = list_classes(train, expected)
        return listing, list_classes(test, Expected(listing.classes, f"{train.name}/"))
    said = [parts.lacks("not both train/<class> and test/<class>")]
    said.append("Divide it so, or give it one folder for each class and nothing else.")
    if train is not None:
        said.append(f"To hold out a share of '{printable(train)}' for the test, name that folder.")
    said += [f"If '{name}' is a class, use train/{name} and test/{name}, or rename it." for name in parts.bare[:1]]
    raise DataError(" ".join(said))


def open_image_folder(data: DataOptions, fetch: bool = True) -> FolderReader:
    """The reader of the folder data.root.

    Raises:
        DataError: as FolderReader.
    """
    del fetch  # nothing is fetched
    return FolderReader(data)


class _Parts(NamedTuple):
    """The listings that a recipe asks for; no file is in two of them."""

    labelled: FolderListing
    validation: FolderListing | None
    rest: FolderListing
    test: FolderListing


class FolderReader:
    """An image folder that has been listed.

    Raises:
        DataError: as find_split; or data.unlabelled names a folder without images, or one that is a class.
    """

    def __init__(self, data: DataOptions) -> None:
        self._data = data
        self._unlabelled = list_unlabelled(data)
        split = find_split(Path(data.root), self._unlabelled.root if self._unlabelled else None)
        self._listing, self._given_test = split.train, split.test
        if self._unlabelled is not None:
            _no_class(self._unlabelled.root, self._listing)
        self._digests: dict[Path, bytes] = {}
        self.classes = self._listing.classes
        self.skipped: list[str] = []
        self.notes = [*split.notes, *split.left_out.notes(), *unlabelled_notes(self._unlabelled)]
        self._test_contents: ImageSet | None = None

    @cached_property
    def own_side(self) -> int:
        """The short side of the largest training image, read from the files' heads alone."""
        return max(short_side(path) for path in self._listing.paths)

    def training(self, sides: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """Read and decode the chosen training images, and the validation images if there are any.

        The test images are opened too, so that one that cannot be read is met now, not after the training.
        """
        parts = self._parts(progress)
        loaded = self._load(parts.labelled, sides, progress)
        self.test_contents(progress)
        return loaded, self._load(parts.validation, sides[:1], progress) if parts.validation else None

    def unlabelled(self, sides: Sequence[int], progress: Progress) -> ImageSet | None:
        """Read and decode the images of data.unlabelled, if it names any, without files that are others byte for byte.

        Raises:
            DataError: one cannot be read, or none is left.
        """
        if not self._data.unlabelled:
            return None
        parts = self._parts(progress)
        images = self._load(self._unlabelled or _without_classes(parts.rest), sides, progress)
        known = {"test images": parts.test, "labelled training images": parts.labelled}
        if parts.validation:
            known["validation images"] = parts.validation
        hashes = {what: self._hashes(listing, progress) for what, listing in known.items()}
        rows = unknown_rows(self._data, images.hashes, hashes, progress)
        return packed_images(images, rows)

    def test_contents(self, progress: Progress) -> ImageSet:
        """The test images without squares, those left out that cannot be read; each is decoded once and let go.

        Raises:
            DataError: one cannot be read, and data.skip_bad is false.
        """
        if self._test_contents is None:
            loaded = load(self._parts(progress).test, (), self._data.skip_bad, progress)
            self._test_contents = images_from_folder(loaded, Path(self._data.root))
        return self._test_contents

    def test(self, sides: Sequence[int], progress: Progress) -> ImageSet:
        """Read and decode the test images."""
        return self._load(self._parts(progress).test, sides, progress)

    def _parts(self, progress: Progress) -> _Parts:
        """Who is what; drawn by content, so it reads every file where it must draw."""
        data, listing, test = self._data, self._listing, self._given_test
        if test is not None and data.validation == 0 and data.per_class == 0:
            return _Parts(listing, None, _pick(listing, np.zeros(0, dtype=np.intp)), test)
        hashes = self._hashes(listing, progress)
        order, groups = rank(hashes, data.split_seed), content_groups(hashes)
        if test is None:
            kept, held = hold_out(listing.labels, order, groups, data.test_share)
            order, test = order[np.isin(order, kept)], _pick(listing, held)
            _every_class_in(test)
        labelled, validation, rest = divide(listing.labels, order, groups, data.validation, data.per_class)
        return _Parts(
            _pick(listing, labelled),
            None if validation is None else _pick(listing, validation),
            _pick(listing, rest),
            test,
        )

    def _load(self, listing: FolderListing, sides: Sequence[int], progress: Progress) -> ImageSet:
        loaded = load(listing, sides, self._data.skip_bad, progress)
        self.skipped += loaded.skipped
        self._digests.update(zip(loaded.paths, loaded.hashes, strict=True))
        return images_from_folder(loaded, Path(self._data.root))

    def _hashes(self, listing: FolderListing, progress: Progress) -> NDArray[np.uint8]:
        """uint8 [N,32], the SHA-256 of each file; a file is read for it once."""
        new = [path for path in listing.paths if path not in self._digests]
        with progress.bar("hash images", len(new)) as bar:
            for path in new:
                self._digests[path] = _digest(path)
                bar.advance()
        return digests_as_array([self._digests[path] for path in listing.paths])


def _digest(path: Path) -> bytes:
    """A file's SHA-256; that of no bytes if it cannot be opened, which is met when it is decoded."""
    try:
        return bytes.fromhex(sha256_of(path))
    except OSError:
        return hashlib.sha256().digest()


def _pick(listing: FolderListing, rows: NDArray[np.intp]) -> FolderListing:
    return replace(listing, paths=[listing.paths[row] for row in rows], labels=listing.labels[rows])


def _without_classes(listing: FolderListing) -> FolderListing:
    return replace(listing, classes=(), labels=np.full(len(listing.paths), -1, dtype=np.int64))


def _no_class(folder: Path, listing: FolderListing) -> None:
    """Unlabelled images within a class would be trained on with that class's label."""
    own, root = folder.resolve(), listing.root.resolve()
    below = own.relative_to(root).parts[:1] if own.is_relative_to(root) else ()
    if below and spelled(below[0]) in listing.classes:
        raise DataError(
            f"data.unlabelled = '{folder}' is in '{listing.root}', whose sub-folders are classes, here '{below[0]}'. "
            f"Move the unlabelled images out of it."
        )


def _every_class_in(test: FolderListing) -> None:
    lacking = sorted(set(range(len(test.classes))) - set(test.labels.tolist()))
    if lacking:
        raise DataError(
            f"Class '{test.classes[lacking[0]]}' of '{printable(test.root)}' consists of copies of one image: none can "
            f"be held out for the test without a copy of it in the training. Add other images."
        )

"""A user's own images: root/train/<class> and root/test/<class>, or root/<class> split by a seed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import printable
from sskt_edge.data.images import ImageSet, images_from_folder
from sskt_edge.data.listing_reader import ListingReader, Listings
from sskt_edge.data.unlabelled import list_unlabelled, unlabelled_notes
from sskt_edge.images.class_names import class_folders, spelled
from sskt_edge.images.left_out import LeftOut
from sskt_edge.images.listing import Expected, FolderListing, LoadedFolder, list_classes
from sskt_edge.images.parts import Parts, find_parts, note_of_other_parts
from sskt_edge.images.walk import sub_folders
from sskt_edge.recipe.models import DataOptions
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task


class Split(NamedTuple):
    """The labelled images of a folder.

    Attributes:
        train: the training images.
        test: the test images; None if a share must be held out.
        notes: notes for the user on the choice of the folders, one line each.
        left_out: what in the folder was ignored.
    """

    train: FolderListing
    test: FolderListing | None
    notes: list[str]
    left_out: LeftOut


def find_split(root: Path, unlabelled: Path | None = None) -> Split:
    """The training images and the test images of a folder.

    Args:
        root: the folder.
        unlabelled: the folder of unlabelled images, which may be inside `root`.

    Raises:
        DataError: the folder is missing, cannot be listed, is not divided as required, or has fewer than two classes;
            or a class is empty, or train and test have different classes.
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
            f"Class '{name}' of '{printable(root)}' has only one image; it needs one for training and one for the "
            f"test. Add images."
        )
    return split


def _train_and_test(parts: Parts) -> tuple[FolderListing, FolderListing]:
    train, test = parts.found.get("train"), parts.test
    if train is not None and test is not None:
        expected = Expected(class_folders(test, sub_folders(test)[0]), f"{test.name}/")
        listing = list_classes(train, expected)
        return listing, list_classes(test, Expected(listing.classes, f"{train.name}/"))
    said = [parts.lacks("not both train/<class> and test/<class>")]
    said.append("Divide it that way, or give it one folder per class and nothing else.")
    if train is not None:
        said.append(f"To hold out a share of '{printable(train)}' for the test, name that folder.")
    said += [
        f"If '{name}' is a class, move it to train/{name} and test/{name}, or rename it." for name in parts.bare[:1]
    ]
    raise DataError(" ".join(said))


def open_image_folder(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> FolderReader:
    """The reader of the folder data.root.

    Raises:
        DataError: as FolderReader.
    """
    del task, fetch  # one class per image, and nothing is downloaded
    return FolderReader(data)


class FolderReader(ListingReader):
    """An image folder that has been listed.

    Raises:
        DataError: as find_split; or data.unlabelled names a folder without images, or one that is a class.
    """

    def __init__(self, data: DataOptions) -> None:
        unlabelled = list_unlabelled(data)
        split = find_split(Path(data.root), unlabelled.root if unlabelled else None)
        if unlabelled is not None:
            _no_class(unlabelled.root, split.train)
        notes = [*split.notes, *split.left_out.notes(), *unlabelled_notes(unlabelled)]
        super().__init__(data, split.train.classes, Listings(split.train, split.test, unlabelled), notes)

    def strata(self, listing: FolderListing) -> NDArray[np.int64]:
        """The class of each image."""
        return listing.labels

    def image_set(self, loaded: LoadedFolder, asked: FolderListing) -> ImageSet:  # noqa: ARG002 — load has checked it
        """The images with their class numbers."""
        return images_from_folder(loaded, Path(self.data.root))


def _no_class(folder: Path, listing: FolderListing) -> None:
    """Refuse unlabelled images inside a class folder: they would be trained on with the label of that class."""
    own, root = folder.resolve(), listing.root.resolve()
    below = own.relative_to(root).parts[:1] if own.is_relative_to(root) else ()
    if below and spelled(below[0]) in listing.classes:
        raise DataError(
            f"data.unlabelled = '{folder}' is in '{listing.root}', whose sub-folders are classes, such as "
            f"'{below[0]}'. Move the unlabelled images out of it."
        )

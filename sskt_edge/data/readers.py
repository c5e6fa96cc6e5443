"""Data sets by name: each is a reader that returns its test images only when they are requested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.common.progress import Progress
from sskt_edge.data.images import ImageSet
from sskt_edge.recipe.models import DataOptions
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task


class Reader(Protocol):
    """A data set that has been found and listed, but not yet decoded.

    Attributes:
        classes: the class names, in the order of the labels.
        skipped: the unreadable items that were skipped, one line each.
        notes: notes on the folders for the user: how they were read, and what was ignored. One line each.
    """

    classes: tuple[str, ...]
    skipped: list[str]
    notes: list[str]

    @property
    def own_size(self) -> int:
        """The size of its largest training image, in pixels: the side of the largest square that can be cut from it."""

    def training(self, sizes: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """The training images within the budget, and the validation images if the recipe keeps some."""

    def unlabelled(self, sizes: Sequence[int], progress: Progress) -> ImageSet | None:
        """The images of data.unlabelled, their labels -1; None if it is "".

        An image with the same content as a test image, a labelled training image or a validation image is left out, and
        the number left out is reported.

        Raises:
            DataError: an image cannot be read, or none is left.
        """

    def test_contents(self, progress: Progress) -> ImageSet:
        """The test images without their pixels, to compare their contents with those of the training images.

        Raises:
            DataError: an image cannot be read.
        """

    def test(self, sizes: Sequence[int], progress: Progress) -> ImageSet:
        """The test images, decoded. The training loop requests them once, at its end."""


def open_data(data: DataOptions, task: Task = SINGLE_LABEL, fetch: bool = True) -> Reader:
    """The reader of a recipe's data set.

    Args:
        data: the recipe's table [data].
        task: what its labels mean.
        fetch: download a published data set if its files are missing.

    Raises:
        DataError: the data set is missing or not valid.
        MissingExtraError: the package that ships it is not installed.
    """
    reader: Reader = DATA_SETS[data.name].load()(data, task, fetch)
    return reader

"""A user's own images in a CSV or Parquet file: one row per image, with its classes and, optionally, its part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import printable
from sskt_edge.common.text import first_of
from sskt_edge.data.images import ImageSet, digests_as_array, short_name
from sskt_edge.data.listing_reader import ListingReader, Listings
from sskt_edge.data.split import Strata
from sskt_edge.data.unlabelled import list_unlabelled, unlabelled_notes
from sskt_edge.images.left_out import LeftOut
from sskt_edge.images.listing import FolderListing, LoadedFolder
from sskt_edge.images.table_file import read_table
from sskt_edge.images.table_rows import TableRows, rows_of
from sskt_edge.recipe.models import DataOptions
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.task import Labels, Task

_MOST_NAMES = 5  # shown on a line


def open_table(data: DataOptions, task: Task, fetch: bool = True) -> TableReader:
    """The reader of the table that data.root names.

    Raises:
        DataError, MissingExtraError: as TableReader.
    """
    del fetch  # nothing is fetched
    return TableReader(data, data.table or TableOptions(), task)


class TableReader(ListingReader):
    """A table whose rows have been read and checked; data.root names the file.

    Rows of the part "test" are the test images; if there are none, rows of "val" are. Without either, data.test_share
    holds out a share. If there are test rows, rows of "val" are not used: data.validation holds out a share.

    Raises:
        DataError: the table is missing or broken, or its rows are wrong; all faults are in one message.
        MissingExtraError: the table is Parquet, but pyarrow is not installed.
    """

    def __init__(self, data: DataOptions, options: TableOptions, task: Task) -> None:
        path = Path(data.root)
        rows = rows_of(read_table(path, options.separator), options, task.one_class)
        self._task, self._weights = task, rows.weights
        self._labels = task.from_classes(rows.labels)
        unlabelled = list_unlabelled(data)
        division = _divided(path, rows)
        notes = [*division.notes, *self._check_classes(path, rows.classes, division), *unlabelled_notes(unlabelled)]
        train = _listing(path, rows, division.train)
        test = None if division.test is None else _listing(path, rows, division.test)
        super().__init__(data, rows.classes, Listings(train, test, unlabelled), notes)

    def strata(self, listing: FolderListing) -> Strata:
        """The task's strata of the rows."""
        return self._task.strata(self._labels[listing.labels])

    def image_set(self, loaded: LoadedFolder, asked: FolderListing) -> ImageSet:
        """The images with the labels and the weights of their rows.

        Raises:
            DataError: no image of a requested class can be read.
        """
        labels, before = self._labels_at(loaded.labels), self._labels_at(asked.labels)
        counts, wanted = (self._task.class_counts(which, len(self.classes)) for which in (labels, before))
        if lost := _named(self.classes, (counts == 0) & (wanted > 0)):
            raise DataError(
                f"'{printable(asked.root)}': no image of class {lost} can be read. The first: {loaded.skipped[0]}"
            )
        names = tuple(short_name(path, asked.root.parent) for path in loaded.paths)
        weights = None
        if self._weights is not None:
            weights = np.where(loaded.labels >= 0, self._weights[loaded.labels], np.float32(1))
        return ImageSet(loaded.resized, labels, digests_as_array(loaded.hashes), names, weights)

    def _labels_at(self, rows: NDArray[np.int64]) -> Labels:
        """The labels of the table's rows; a row of -1 has no label."""
        labels = self._task.unknown(len(rows), len(self.classes))
        labels[rows >= 0] = self._labels[rows[rows >= 0]]
        return labels

    def _check_classes(self, path: Path, classes: tuple[str, ...], division: _Division) -> list[str]:
        """Check that every class can be trained and, with one class per image, tested; return notes on the others.

        Raises:
            DataError: some class cannot be trained or tested.
        """
        count, parts = len(classes), (division.train, division.test)
        train, test = (
            np.zeros(count, dtype=np.int64) if rows is None else self._task.class_counts(self._labels[rows], count)
            for rows in parts
        )
        faults = []
        if count < 2 and self._task.one_class:
            faults.append("it has one class; training needs at least two")
        if lacking := _named(classes, train == 0):
            faults.append(f"no training image has class {lacking}")
        if division.test is not None and not test.any():
            faults.append("no test image has a class, so nothing can be measured")
        untested = _named(classes, (test == 0) if division.test is not None else (train == 1))
        if untested and self._task.one_class:
            faults.append(f"class {untested} has no test image")
        if faults:
            raise DataError(f"'{printable(path)}': {'; '.join(faults)}. Add images, or remove the class.")
        return [f"no test image has class {untested}, so it has no figure of its own"] if untested else []


class _Division(NamedTuple):
    """The rows of the table by part.

    Attributes:
        train: the training rows; all rows if a share must be held out for the test.
        test: the test rows; None if a share must be held out.
        notes: notes for the user on the choice, one line each.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp] | None
    notes: list[str]


def _divided(path: Path, rows: TableRows) -> _Division:
    places = {
        part: np.array([row for row, own in enumerate(rows.parts) if own == part], dtype=np.intp)
        for part in dict.fromkeys(rows.parts)
    }
    notes = []
    if empty := int((~(rows.labels == 1).any(axis=1)).sum()):
        notes.append(f"{empty:,} of {len(rows.paths):,} images have none of the classes")
    if "" in places:
        return _Division(places[""], None, notes)
    if "train" not in places:
        raise DataError(
            f"'{printable(path)}' has rows of {' and '.join(places)}, but none of train. "
            f"Mark the training rows with train, or remove the column so that data.test_share is held out."
        )
    test = places.get("test", places.get("val"))
    if "val" in places and "test" not in places:
        notes.append("the rows of val are the test set, since the table has no rows of test")
    elif "val" in places:
        unused = f"{len(places['val']):,} rows of val"
        notes.append(f"not used: {unused}; data.validation holds out a share of the training images")
    return _Division(places["train"], test, notes)


def _listing(path: Path, rows: TableRows, places: NDArray[np.intp]) -> FolderListing:
    """The files of some rows; the row numbers take the place of labels."""
    return FolderListing(path, (), [rows.paths[place] for place in places], places.astype(np.int64), LeftOut())


def _named(classes: Sequence[str], which: NDArray[np.bool_]) -> str:
    """The names of some classes, the first five of them; "" for none."""
    found = [f"'{printable(classes[number])}'" for number in np.flatnonzero(which).tolist()]
    return first_of(found, _MOST_NAMES)

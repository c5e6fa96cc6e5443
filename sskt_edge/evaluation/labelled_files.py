"""Read a user's labelled image files: a folder of class sub-folders, or a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.common.errors import DataError, InputError
from sskt_edge.common.printable import printable
from sskt_edge.common.progress import Progress
from sskt_edge.images.class_names import spelled
from sskt_edge.images.left_out import LeftOut
from sskt_edge.images.listing import Expected, FolderListing, list_classes
from sskt_edge.images.parts import find_parts
from sskt_edge.images.read import ReadFiles, reader_of
from sskt_edge.images.table_file import TableFile, read_table
from sskt_edge.images.table_rows import rows_of
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.task import Labels

_OWNER = "the bundle"
_KEYS = "data.table."
# A recipe without table options, so that --set for a table is checked as in a recipe.
_RECIPE = 'name = "eval"\ndata.name = "table"\ntarget.model = "resnet20"\nmethod.name = "scratch"'


class LabelledFiles(NamedTuple):
    """N images of a bundle's classes.

    Attributes:
        root: the folder or the table that they come from, printable.
        images: uint8 [N,*shape].
        labels: their labels, in the form of the bundle's task and the order of its classes.
        notes: notes for the user on the choice.
    """

    root: str
    images: npt.NDArray[np.uint8]
    labels: Labels
    notes: list[str]


def table_options(overrides: Sequence[str]) -> TableOptions:
    """The roles of a table's columns from `--set data.table.KEY=VALUE`.

    >>> table_options(["data.table.paths=file"]).paths
    'file'

    Raises:
        InputError: the key is not in data.table.
        RecipeError: the key or the value is not valid in [data.table].
    """
    for override in overrides:
        if not override.strip().startswith(_KEYS):
            raise InputError(f"--set {override}: the values of a bundle are fixed; only {_KEYS}… can be set here.")
    return parse_recipe(_RECIPE, overrides, "--set").data.table or TableOptions()


def read_labelled(
    bundle: Bundle, data: Path, options: TableOptions, skip_bad: bool, progress: Progress
) -> LabelledFiles:
    """Read the test images of a folder or of a table.

    Args:
        bundle: the bundle, whose classes they must have.
        data: data/<class>/<image>, or data/test/<class>/<image>; data/val/… if test/ is missing. Or a table: its rows
            of the part test, or else of val; all rows if no column assigns parts.
        options: the roles of the table's columns. A table without a column of class names may have a column for each
            class of the bundle.
        skip_bad: leave out images that cannot be read.
        progress: draws the bar.

    Raises:
        InputError: files cannot be read for the bundle's kind of input.
        DataError: `data` has another form, cannot be read, or has other classes than the bundle; it is a folder that
            lacks images of a class or whose bundle has several classes per image; or an image cannot be read.
    """
    reader_of(bundle.manifest.input.kind)
    if data.is_file() or (data.suffix and not data.exists()):
        return _of_table(bundle, data, options, skip_bad, progress)
    if options != TableOptions():
        raise DataError(
            f"'{printable(data)}' is not a table, so --set data.table does not apply to it. Name a CSV or Parquet "
            "file, or leave --set out."
        )
    if not bundle.task.one_class:
        raise DataError(
            f"'{printable(data)}' is not a table: a folder gives each image one class, but images of this bundle "
            "may have several. Name a CSV or Parquet file: --data labels.csv."
        )
    return _of_folder(bundle, data, skip_bad, progress)


def _of_folder(bundle: Bundle, data: Path, skip_bad: bool, progress: Progress) -> LabelledFiles:
    classes = [spelled(name) for name in bundle.manifest.classes]
    folder, notes = _test_folder(data, classes)
    listing = list_classes(folder, Expected(classes, _OWNER))
    found = _read(bundle, listing, skip_bad, progress)
    own = [classes.index(name) for name in listing.classes]
    labels = bundle.task.from_classes(np.eye(len(classes), dtype=np.int8)[own])
    notes += [*listing.left_out.notes(), *_skipped(found)]
    return LabelledFiles(printable(listing.root), found.images, labels[found.labels], notes)


def _of_table(bundle: Bundle, data: Path, options: TableOptions, skip_bad: bool, progress: Progress) -> LabelledFiles:
    table = read_table(data, options.separator)
    rows = rows_of(table, _with_class_columns(options, table, bundle.manifest.classes), bundle.task.one_class)
    has = rows.labels_of(Expected(bundle.manifest.classes, _OWNER))
    part = next((part for part in ("test", "val", "") if part in rows.parts), None)
    if part is None:
        raise DataError(f"'{printable(data)}' has only rows of train. Mark the rows to evaluate with test.")
    places = np.array([place for place, own in enumerate(rows.parts) if own == part], dtype=np.int64)
    notes = [f"{len(places):,} of {len(rows.parts):,} rows are used, those of {part}"] if part else []
    listing = FolderListing(data, (), [rows.paths[place] for place in places], places, LeftOut())
    found = _read(bundle, listing, skip_bad, progress)
    notes += _skipped(found)
    return LabelledFiles(printable(data), found.images, bundle.task.from_classes(has[found.labels]), notes)


def _with_class_columns(options: TableOptions, table: TableFile, classes: Sequence[str]) -> TableOptions:
    """The options with the columns named like the bundle's classes, if none are named and the default is missing."""
    if "classes" in options.model_fields_set or options.classes in table.columns:
        return options
    column_of = {spelled(column): column for column in table.columns}
    if not all(spelled(name) in column_of for name in classes):
        return options
    return options.model_copy(update={"classes": tuple(column_of[spelled(name)] for name in classes)})


def _read(bundle: Bundle, listing: FolderListing, skip_bad: bool, progress: Progress) -> ReadFiles:
    takes = bundle.manifest.input
    return reader_of(takes.kind).read_folder(listing, takes.shape, skip_bad, progress, skip_by="--skip-bad")


def _skipped(found: ReadFiles) -> list[str]:
    return [f"left out: {message}" for message in found.skipped]


def _test_folder(data: Path, classes: Sequence[str]) -> tuple[Path, list[str]]:
    """The folder whose sub-folders are the classes, and notes on the choice."""
    parts = find_parts(data, classes)
    if parts is None:
        return data, []
    if parts.test is None:
        raise DataError(f"{parts.lacks('no test/<class>')} Name the folder whose sub-folders are the bundle's classes.")
    return parts.test, parts.notes()

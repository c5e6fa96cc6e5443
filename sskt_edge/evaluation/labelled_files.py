"""Image files with labels that a user has: a folder of class sub-folders, or a table."""

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
from sskt_edge.images.table_file import read_table
from sskt_edge.images.table_rows import rows_of
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.task import Labels

_OWNER = "the bundle"
_KEYS = "data.table."
# A recipe that says nothing of its table: what is set of one is then checked as in a recipe.
_RECIPE = 'name = "eval"\ndata.name = "table"\ntarget.model = "resnet20"\nmethod.name = "scratch"'


class LabelledFiles(NamedTuple):
    """N images of a bundle's classes.

    Attributes:
        root: where they are, printable: the folder, or the table.
        images: uint8 [N,*shape].
        labels: as the bundle's task has them, in the order of its classes.
        notes: what a user should know of the choice.
    """

    root: str
    images: npt.NDArray[np.uint8]
    labels: Labels
    notes: list[str]


def table_options(overrides: Sequence[str]) -> TableOptions:
    """What `--set data.table.KEY=VALUE` says of a table's columns.

    >>> table_options(["data.table.paths=file"]).paths
    'file'

    Raises:
        InputError: another key.
        RecipeError: a key or a value that [data.table] does not have.
    """
    for override in overrides:
        if not override.strip().startswith(_KEYS):
            raise InputError(f"--set {override}: a bundle is set already; only {_KEYS}… of a table can be set here.")
    return parse_recipe(_RECIPE, overrides, "--set").data.table or TableOptions()


def read_labelled(
    bundle: Bundle, data: Path, options: TableOptions, skip_bad: bool, progress: Progress
) -> LabelledFiles:
    """Read the test images of a folder or of a table.

    Args:
        bundle: whose classes they have.
        data: data/<class>/<image>, or data/test/<class>/<image>; data/val/… if test/ is missing. Or a table: its rows
            of the part test, or else of val; all where no column says the part.
        options: which of the table's columns is what.
        skip_bad: leave out images that cannot be read.
        progress: draws the bar.

    Raises:
        InputError: the bundle takes another kind of input than what files are read of.
        DataError: it is not of that form, cannot be read, or has other classes than the bundle; a folder has none of a
            class's images, or the bundle's images have several classes; or an image cannot be read.
    """
    reader_of(bundle.manifest.input.kind)
    if data.is_file() or (data.suffix and not data.exists()):
        return _of_table(bundle, data, options, skip_bad, progress)
    if options != TableOptions():
        raise DataError(
            f"'{printable(data)}' is not a table, so that --set data.table says nothing of it. Name a CSV or Parquet "
            "file, or leave --set out."
        )
    if not bundle.task.one_class:
        raise DataError(
            f"'{printable(data)}' is not a table, and a folder gives an image one class, where this bundle's images "
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
    rows = rows_of(read_table(data, options.separator), options, bundle.task.one_class)
    has = rows.labels_of(Expected(bundle.manifest.classes, _OWNER))
    part = next((part for part in ("test", "val", "") if part in rows.parts), None)
    if part is None:
        raise DataError(f"'{printable(data)}' has rows of train alone. Mark those to evaluate on with test.")
    places = np.array([place for place, own in enumerate(rows.parts) if own == part], dtype=np.int64)
    notes = [f"{len(places):,} of {len(rows.parts):,} rows are read, those of {part}"] if part else []
    listing = FolderListing(data, (), [rows.paths[place] for place in places], places, LeftOut())
    found = _read(bundle, listing, skip_bad, progress)
    notes += _skipped(found)
    return LabelledFiles(printable(data), found.images, bundle.task.from_classes(has[found.labels]), notes)


def _read(bundle: Bundle, listing: FolderListing, skip_bad: bool, progress: Progress) -> ReadFiles:
    takes = bundle.manifest.input
    return reader_of(takes.kind).read_folder(listing, takes.shape, skip_bad, progress, skip_by="--skip-bad")


def _skipped(found: ReadFiles) -> list[str]:
    return [f"left out: {message}" for message in found.skipped]


def _test_folder(data: Path, classes: Sequence[str]) -> tuple[Path, list[str]]:
    """The folder whose sub-folders are the classes, and what to say of the choice."""
    parts = find_parts(data, classes)
    if parts is None:
        return data, []
    if parts.test is None:
        raise DataError(f"{parts.lacks('no test/<class>')} Name the folder whose sub-folders are the bundle's classes.")
    return parts.test, parts.notes()

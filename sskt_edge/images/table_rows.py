"""Turn a table's rows into image files with labels, or report all their faults in one message."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError, nearest
from sskt_edge.common.printable import UNPRINTABLE, printable
from sskt_edge.images.class_names import spelled
from sskt_edge.images.listing import Expected
from sskt_edge.images.parts import part_called
from sskt_edge.images.table_file import TableFile
from sskt_edge.recipe.table import TableOptions

_MOST_FAULTS = 20  # shown in a message
_VALUES = {"1": 1, "0": 0, "-1": -1, "1.0": 1, "0.0": 0, "-1.0": -1}
_PARTS = "train, val or test"


class TableRows(NamedTuple):
    """The N rows of a table.

    Attributes:
        paths: the files.
        parts: "train", "val" or "test" for each row; "" if the table has no column for it.
        classes: the K class names.
        labels: int8 [N,K]: 1, 0, or -1 if not known.
        other: the label of every image for a class that is not among `classes`: 0 if the cells name all classes of an
            image, -1 (not known) if each class has a column.
        weights: float32 [N], the weight of each image; None if the table has none.
    """

    paths: list[Path]
    parts: list[str]
    classes: tuple[str, ...]
    labels: NDArray[np.int8]
    other: int
    weights: NDArray[np.float32] | None

    def labels_of(self, expected: Expected) -> NDArray[np.int8]:
        """The labels for other classes in another order, such as those of a bundle. → int8 [N,E].

        Raises:
            DataError: the table has classes that are not expected.
        """
        unknown = sorted(set(self.classes) - {spelled(name) for name in expected.classes})
        if unknown:
            shown = ", ".join(f"'{printable(name)}'" for name in unknown)
            raise DataError(f"The table has classes that are unknown to {expected.owner}: {shown}. Remove them.")
        labels = np.full((len(self.paths), len(expected.classes)), self.other, dtype=np.int8)
        place = {spelled(name): number for number, name in enumerate(expected.classes)}
        labels[:, [place[name] for name in self.classes]] = self.labels
        return labels


@dataclass
class Faults:
    """The faults of a table, collected row by row."""

    table: TableFile
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, fault: str) -> None:
        """Add a fault of the row with this number."""
        self.found.append((number, fault))

    def raise_if_any(self) -> None:
        """Raise one DataError for all faults.

        Raises:
            DataError: there are faults.
        """
        if not self.found:
            return
        lines = [f"  {self.table.unit} {number}: {fault}" for number, fault in sorted(self.found)[:_MOST_FAULTS]]
        if len(self.found) > _MOST_FAULTS:
            lines.append(f"  and {len(self.found) - _MOST_FAULTS:,} more")
        count = "one fault" if len(self.found) == 1 else f"{len(self.found):,} faults"
        raise DataError(f"'{printable(self.table.path)}' has {count}:\n" + "\n".join(lines))


class _Columns(NamedTuple):
    """The indices of the columns; `classes` is one index, if its cells hold names, or one index per class."""

    paths: int
    classes: int | dict[str, int]
    split: int | None
    weight: int | None


def rows_of(table: TableFile, options: TableOptions, one_class: bool) -> TableRows:
    """Interpret the rows.

    Args:
        table: the file.
        options: the roles of the columns.
        one_class: whether every image must have exactly one class.

    Raises:
        DataError: a column is missing, or a row is wrong; the message lists all faults.
    """
    columns = _columns(table, options)
    faults = Faults(table)
    whole = []
    for number, cells in table.rows:
        if len(cells) == len(table.columns):
            whole.append((number, [cell.strip() for cell in cells]))
        else:
            faults.add(number, f"{len(cells)} cells, expected {len(table.columns)}")
    paths = _paths(whole, columns.paths, table.path.parent, faults)
    parts = _parts(whole, columns.split, faults)
    classes, labels = _labels(whole, columns.classes, options.separator, one_class, faults)
    weights = _weights(whole, columns.weight, faults)
    faults.raise_if_any()
    other = -1 if isinstance(columns.classes, dict) else 0
    return TableRows(paths, parts, classes, labels, other, weights)


_Rows = Sequence[tuple[int, list[str]]]


def _columns(table: TableFile, options: TableOptions) -> _Columns:
    place = {name: number for number, name in enumerate(table.columns)}
    named = {options.paths, *((options.classes,) if isinstance(options.classes, str) else options.classes)}
    split = options.split or ("split" if "split" in place.keys() - named else None)
    weight = options.weight or ("weight" if "weight" in place.keys() - named else None)
    others = tuple(name for name in table.columns if name not in {options.paths, split, weight})
    classes = others if options.classes == "*" else options.classes
    wanted = {"paths": (options.paths,), "classes": (classes,) if isinstance(classes, str) else classes}
    wanted |= {"split": (split,) if split else (), "weight": (weight,) if weight else ()}
    missing = [
        f"data.table.{key}: no column '{printable(name)}'. {nearest(name, place)}".strip()
        for key, names in wanted.items()
        for name in names
        if name not in place
    ]
    if missing or not classes:
        missing = missing or ["data.table.classes: no column is left for the classes."]
        shown = ", ".join(f"'{printable(name)}'" for name in table.columns)
        raise DataError(f"'{printable(table.path)}': {' '.join(missing)} Columns: {shown}.")
    return _Columns(
        place[options.paths],
        place[classes] if isinstance(classes, str) else {spelled(name): place[name] for name in classes},
        place[split] if split else None,
        place[weight] if weight else None,
    )


def _paths(rows: _Rows, column: int, folder: Path, faults: Faults) -> list[Path]:
    first: dict[str, int] = {}
    found = []
    for number, cells in rows:
        path = folder / cells[column]
        found.append(path)
        if not cells[column]:
            faults.add(number, "no path")
            continue
        before = first.setdefault(os.path.normpath(path), number)
        if before != number:
            faults.add(number, f"'{printable(cells[column])}' is also the file of {faults.table.unit} {before}")
        elif not os.path.isfile(path):  # noqa: PTH113 — Path.is_file raises where a name is too long
            faults.add(number, f"file '{printable(path)}' does not exist")
    return found


def _parts(rows: _Rows, column: int | None, faults: Faults) -> list[str]:
    if column is None:
        return [""] * len(rows)
    found = []
    for number, cells in rows:
        part = part_called(cells[column])
        if part is None:
            faults.add(number, f"the split is '{printable(cells[column])}'; expected {_PARTS}")
        found.append(part or "")
    return found


def _labels(
    rows: _Rows, column: int | dict[str, int], separator: str, one_class: bool, faults: Faults
) -> tuple[tuple[str, ...], NDArray[np.int8]]:
    """The class names, and int8 [N,K]."""
    if isinstance(column, dict):
        classes, labels = tuple(column), _from_columns(rows, column, faults)
    else:
        named = [_names(number, cells[column], separator, faults) for number, cells in rows]
        classes = tuple(sorted({name for names in named for name in names}))
        labels = np.zeros((len(rows), len(classes)), dtype=np.int8)
        place = {name: number for number, name in enumerate(classes)}
        for row, names in enumerate(named):
            labels[row, [place[name] for name in names]] = 1
    if one_class:
        for (number, _), own in zip(rows, labels, strict=True):
            names = [printable(classes[place]) for place in np.flatnonzero(own == 1)]
            if len(names) != 1:
                got = ", ".join(f"'{name}'" for name in names) or "none"
                faults.add(number, f"this task has one class per image, got {got}")
    return classes, labels


def _names(number: int, cell: str, separator: str, faults: Faults) -> list[str]:
    """The classes of a cell; an empty cell has none."""
    names = [spelled(name.strip()) for name in cell.split(separator)] if cell else []
    if "" in names:
        faults.add(number, f"a class without a name in '{printable(cell)}'")
    for name in names:
        if UNPRINTABLE.search(name):
            faults.add(number, f"'{printable(name)}' cannot name a class: it has an unprintable character")
    if len(set(names)) < len(names):
        faults.add(number, f"a class occurs twice in '{printable(cell)}'")
    return [name for name in names if name]


def _from_columns(rows: _Rows, columns: dict[str, int], faults: Faults) -> NDArray[np.int8]:
    labels = np.full((len(rows), len(columns)), -1, dtype=np.int8)
    for row, (number, cells) in enumerate(rows):
        for place, (name, column) in enumerate(columns.items()):
            value = _VALUES.get(cells[column])
            if value is None:
                faults.add(number, f"'{printable(name)}' is '{printable(cells[column])}'; expected 1, 0 or -1")
            else:
                labels[row, place] = value
    return labels


def _weights(rows: _Rows, column: int | None, faults: Faults) -> NDArray[np.float32] | None:
    if column is None:
        return None
    weights = np.ones(len(rows), dtype=np.float32)
    for row, (number, cells) in enumerate(rows):
        try:
            value = float(cells[column])
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value > 0:
            weights[row] = value
        else:
            faults.add(number, f"the weight is '{printable(cells[column])}'; expected a number above 0")
    return weights

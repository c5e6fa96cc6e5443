"""Read a CSV or Parquet file as rows of text, without interpreting them.

CSV is read by Python's own csv, which knows the line of every row; Parquet by pyarrow, from the extra `table`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sskt_edge.common.errors import DataError, MissingExtraError
from sskt_edge.common.packages import install_hint
from sskt_edge.common.printable import printable

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class TableFile:
    """A table's columns and rows.

    Attributes:
        path: the file.
        columns: their names.
        unit: the unit of row numbers in messages: "line", where line 1 is the header, or "row".
        rows: each with its number and its cells, normally one per column; a row of another length is not changed.
    """

    path: Path
    columns: tuple[str, ...]
    unit: str
    rows: Sequence[tuple[int, list[str]]]


def read_table(path: Path, separator: str) -> TableFile:
    """Read a file by its ending: .csv, .tsv and .txt as CSV in UTF-8, .parquet and .pq as Parquet.

    The delimiter of CSV is a comma, a semicolon or a tab, whichever is the most frequent in the header line.

    Args:
        path: the file.
        separator: put between the items of a list in one cell, which Parquet allows.

    Raises:
        DataError: the file does not exist, is of another kind, is broken, has no rows, or has two columns of one name.
        MissingExtraError: the file is Parquet, but pyarrow is not installed.
    """
    read = _KINDS.get(path.suffix.lower())
    if path.is_dir() or (read is None and path.exists()):
        raise DataError(f"'{printable(path)}' is not a table. Name a file that ends in {', '.join(_KINDS)}.")
    if read is None or not path.is_file():
        raise DataError(f"Table '{printable(path)}' does not exist. Name a CSV or Parquet file.")
    try:
        found = read(path, separator)
    except OSError as error:
        raise DataError(f"'{printable(path)}' cannot be read: {error.strerror or error}.") from error
    twice = sorted({name for name in found.columns if found.columns.count(name) > 1})
    if twice:
        raise DataError(f"'{printable(path)}' has two columns named '{printable(twice[0])}'. Rename one.")
    if not found.rows:
        raise DataError(f"'{printable(path)}' has no rows. Write one for each image, below the header line.")
    return found


def _read_csv(path: Path, _: str) -> TableFile:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heads = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_DELIMITERS, key=heads.count), strict=True)
            found = [(reader.line_num, row) for row in reader if any(row)]
    except UnicodeDecodeError as error:
        raise DataError(f"'{printable(path)}' is not UTF-8 text. Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"'{printable(path)}' is not CSV: line {reader.line_num}: {error}.") from error
    columns = tuple(cell.strip() for cell in found[0][1]) if found else ()
    return TableFile(path, columns, "line", found[1:])


def _read_parquet(path: Path, separator: str) -> TableFile:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"'{printable(path)}' is Parquet, which needs pyarrow: {install_hint('table')}. Or save the table as CSV."
        ) from error
    try:
        # Images stored in the table itself are not read.
        schema = pyarrow.parquet.read_schema(path)
        names = [one.name for one in schema if not _is_binary(pyarrow.types, one.type)]
        table = pyarrow.parquet.read_table(path, columns=names, partitioning=None)
    except pyarrow.ArrowException as error:
        raise DataError(f"'{printable(path)}' is not a complete Parquet file: {printable(str(error))}") from error
    columns = [[_as_text(value, separator) for value in column.to_pylist()] for column in table.columns]
    rows = [(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), 1)]
    return TableFile(path, tuple(table.column_names), "row", rows)


def _is_binary(types: Any, kind: Any) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_struct(kind))


def _as_text(value: Any, separator: str) -> str:
    """A Parquet value as it would be written in CSV."""
    if value is None:
        return ""
    if isinstance(value, list):
        return separator.join(_as_text(one, separator) for one in value)
    return str(int(value)) if isinstance(value, bool) else str(value)


_KINDS: dict[str, Callable[[Path, str], TableFile]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_csv,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
}

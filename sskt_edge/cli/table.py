"""Tables for the terminal. No value is ever cut off, however narrow the terminal and however long the names.

In a pipe, each row is one line of any width. On a terminal, one column may be folded; if that is not enough, each row
becomes a block of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from sskt_edge.cli.console import Console

_LEAST = 24  # the smallest width of a folded column


class Column(NamedTuple):
    """A column: its header, whether it is right-aligned, whether it may be folded, and its style."""

    head: str = ""
    right: bool = False
    folds: bool = False
    style: str = ""


class Table:
    """A table: each row has one cell per column, at most one column folds, and a cell may have several lines."""

    def __init__(
        self,
        console: Console,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        gap: int = 2,
        indent: int = 0,
        styles: Sequence[str] = (),
    ) -> None:
        """Lay it out for `console`.

        Args:
            console: where it will be printed.
            columns: the columns; the header line is left out if no column has a header.
            rows: the cells.
            gap: spaces between two columns.
            indent: spaces before the first column.
            styles: one for each row; empty if no row has one.
        """
        self._console, self._gap, self._indent = console, gap, indent
        self._columns = [column._replace(head=console.shown(column.head)) for column in columns]
        self._rows = [[console.shown(cell) for cell in row] for row in rows]
        self._styles = styles or [""] * len(rows)
        self._room = console.width - indent if console.is_terminal else None
        self._widths = self._widths_side_by_side()

    @property
    def fits(self) -> bool:
        """Whether the columns fit side by side."""
        return self._widths is not None

    def show(self) -> None:
        """Print it."""
        if self._widths is None:
            if self._columns[0].head:
                self._print(Text(self._columns[0].head), "bold")
            for row, style in zip(self._rows, self._styles, strict=True):
                for line in self._block(row):
                    self._print(line, style)
            return
        if any(column.head for column in self._columns):
            for line in self._side_by_side([column.head for column in self._columns], self._widths):
                self._print(line, "bold")
        for row, style in zip(self._rows, self._styles, strict=True):
            for line in self._side_by_side(row, self._widths):
                self._print(line, style)

    def _print(self, line: Text, style: str) -> None:
        line.rstrip()
        self._console.print(Text(" " * self._indent).append_text(line) if line else line, style=style or None)

    def _widths_side_by_side(self) -> list[int] | None:
        """The width of each column; None if they do not fit. Headers are folded at spaces before a cell is."""
        cells = [[row[number] for row in self._rows] for number in range(len(self._columns))]
        widths = [max(map(_width, column), default=0) for column in cells]
        whole = [max(width, _width(column.head)) for width, column in zip(widths, self._columns, strict=True)]
        if self._room is None or self._taken(whole) <= self._room:
            return whole
        words = [max(map(_width, column.head.split()), default=0) for column in self._columns]
        least = [max(width, word) for width, word in zip(widths, words, strict=True)]
        excess = self._taken(least) - self._room
        for number, column in enumerate(self._columns):
            if column.folds and excess > 0:
                least[number] = max(least[number] - excess, min(_LEAST, least[number]))
        return least if self._taken(least) <= self._room else None

    def _taken(self, widths: Sequence[int]) -> int:
        return sum(widths) + self._gap * (len(widths) - 1)

    def _side_by_side(self, row: Sequence[str], widths: Sequence[int]) -> Iterator[Text]:
        """The lines of a row."""
        folded = [self._folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        for pieces in zip_longest(*folded, fillvalue=""):
            line = Text()
            for number, (piece, width, column) in enumerate(zip(pieces, widths, self._columns, strict=True)):
                blanks = " " * (width - _width(piece))
                line.append(" " * self._gap if number else "")
                line.append(blanks + piece if column.right else piece + blanks, column.style)
            yield line

    def _block(self, row: Sequence[str]) -> Iterator[Text]:
        """A row as a block of lines: the first cell, which the terminal wraps, then each other cell with its header."""
        first, *others = row
        yield from (Text(line, self._columns[0].style) for line in first.split("\n"))
        label = max((_width(column.head) for column in self._columns[1:]), default=0)
        room = (self._room or 0) - 2 - label - self._gap
        for cell, column in zip(others, self._columns[1:], strict=True):
            if not cell:
                continue
            if room < _LEAST or not label:
                yield from (Text(f"  {part}") for part in (column.head, *cell.split("\n")) if part)
                continue
            for number, piece in enumerate(self._folded(cell, room)):
                head = "" if number else column.head
                yield Text(f"  {head}{' ' * (label - _width(head) + self._gap)}{piece}")

    def _folded(self, text: str, width: int) -> list[str]:
        """The lines of a text, at most `width` cells each: broken at spaces, or within words that are too long."""
        if all(_width(line) <= width for line in text.split("\n")):
            return text.split("\n")
        return [line.plain.rstrip() for line in Text(text).wrap(self._console, width, overflow="fold")]


def _width(text: str) -> int:
    """The width of a text's widest line, in cells."""
    return max(map(cell_len, text.split("\n")))

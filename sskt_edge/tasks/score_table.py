"""A table of scores as plain text cells: a task's figures for each class, independent of the output."""

from __future__ import annotations

from typing import NamedTuple


class Head(NamedTuple):
    """The header of a column.

    Attributes:
        name: the text; "" for none.
        is_number: whether the cells are right-aligned.
        folds: whether the cells may be broken into lines.
        is_main: whether this is the main column of the table.
    """

    name: str = ""
    is_number: bool = False
    folds: bool = False
    is_main: bool = False


class ScoreTable(NamedTuple):
    """A title, column headers, and rows with one cell per column."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[str, ...], ...]


Alternatives = tuple[tuple[ScoreTable, ...], ...]
"""Tables with the same content, the widest first. The first alternative that fits is printed."""


def as_share(share: float) -> str:
    """A share of one in percent; a dash for NaN.

    >>> as_share(0.125), as_share(float("nan"))
    ('12.5%', '–')
    """
    return "–" if share != share else f"{share:.1%}"  # noqa: PLR0124 — NaN alone differs from itself

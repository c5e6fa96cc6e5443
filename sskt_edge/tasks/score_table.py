"""A table of scores as plain text cells: what a task has to show for each class, whatever prints it."""

from __future__ import annotations

from typing import NamedTuple


class Head(NamedTuple):
    """A column's head.

    Attributes:
        name: the text; "" for none.
        is_number: the cells stand to the right.
        folds: the cells may be broken into lines.
        is_main: the column is what the table is read for.
    """

    name: str = ""
    is_number: bool = False
    folds: bool = False
    is_main: bool = False


class ScoreTable(NamedTuple):
    """A title, heads, and rows of as many cells."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[str, ...], ...]


Alternatives = tuple[tuple[ScoreTable, ...], ...]
"""Tables that say the same, the widest first. Whatever prints them takes the first alternative that fits."""


def as_share(share: float) -> str:
    """A share of one in percent; a dash for NaN.

    >>> as_share(0.125), as_share(float("nan"))
    ('12.5%', '–')
    """
    return "–" if share != share else f"{share:.1%}"  # noqa: PLR0124 — NaN alone differs from itself

"""The tables that `sskt-edge recipe check --data` prints."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sskt_edge.common.packages import install_hint

if TYPE_CHECKING:
    from sskt_edge.data.check import DataCheck

TO_INSTALL = install_hint("copies")


def has_near_copies() -> bool:
    """Whether the library that finds near copies is installed."""
    return find_spec("imagehash") is not None


def show_counts(found: DataCheck) -> None:
    """Print one row per class and one column per part."""
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    columns = [Column("class", folds=True, style="bold"), *(Column(part, right=True) for part in found.counts)]
    rows = [
        [name, *(f"{of_part[name]:,}" for of_part in found.counts.values())]
        for name in next(iter(found.counts.values()))
    ]
    rows.append(["all", *(f"{sum(of_part.values()):,}" for of_part in found.counts.values())])
    console = Console()
    console.print()
    Table(console, columns, rows, indent=2, styles=[*("" for _ in rows[1:]), "bold"]).show()


def data_rows(found: DataCheck) -> dict[str, str]:
    """A row for each kind of finding."""
    rows = {"folders": "\n".join(found.notes)} if found.notes else {}
    if found.below_budget:
        rows["budget"] = found.below_budget
    if found.unreadable:
        then = (
            "the recipe skips them" if found.skips_unreadable else "they stop the training unless data.skip_bad = true"
        )
        rows["unreadable"] = f"{len(found.unreadable):,}; {then}. The first: {found.unreadable[0]}"
    rows["copies"] = "\n".join(found.copies.lines()) or "none"
    if found.near_copies is None:
        rows["near copies"] = "not searched for" + ("" if has_near_copies() else f"; to find them: {TO_INSTALL}")
    else:
        rows["near copies"] = "\n".join(found.near_copies.lines(near=True)) or f"none within {found.near} of 256 bits"
    return rows

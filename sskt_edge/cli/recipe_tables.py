"""What sskt-edge recipe check --data prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sskt_edge.data.check import DataCheck


def show_counts(found: DataCheck) -> None:
    """A row a class, a column a part."""
    from rich.table import Table
    from rich.text import Text

    from sskt_edge.cli.console import Console

    table = Table(box=None, padding=(0, 2, 0, 2))
    table.add_column("class", style="bold")
    for part in found.counts:
        table.add_column(part, justify="right")
    for name in next(iter(found.counts.values())):
        table.add_row(Text(name), *(f"{of_part[name]:,}" for of_part in found.counts.values()))
    table.add_row("all", *(f"{sum(of_part.values()):,}" for of_part in found.counts.values()), style="bold")
    console = Console()
    console.print()
    console.print(table, highlight=False)


def data_rows(found: DataCheck) -> dict[str, str]:
    """A row for each kind of finding."""
    rows = {"budget": found.below_budget} if found.below_budget else {}
    if found.unreadable:
        then = "the recipe skips them" if found.skips_unreadable else "a training stops at them: data.skip_bad = true"
        rows["unreadable"] = f"{len(found.unreadable):,}; {then}. The first: {found.unreadable[0]}"
    rows["copies"] = "\n".join(found.copies.lines()) or "none"
    if found.near_copies:
        rows["near copies"] = "\n".join(found.near_copies.lines(near=True)) or f"none within {found.near} of 256 bits"
    return rows

"""What a study found, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def show_study(title: str, tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]], notes: list[str]) -> None:
    """Print tables, each a head and its rows, and what must be known to read them."""
    from rich.table import Table
    from rich.text import Text

    from sskt_edge.cli.console import Console

    console = Console(soft_wrap=True)
    console.print(f"\n{title}", markup=False, highlight=False, style="bold green")
    for head, rows in tables:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for number, name in enumerate(head):
            last = number == len(head) - 1
            table.add_column(Text(name), justify="right" if number else "left", overflow="fold", no_wrap=not last)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table, highlight=False)
        console.print()
    for note in notes:
        console.print(f"- {note}", markup=False, highlight=False)

"""Print the results of a study on a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def show_study(title: str, tables: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]], notes: list[str]) -> None:
    """Print tables, each with its header and rows, and the notes needed to read them."""
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    console = Console()
    console.print(f"\n{title}", style="bold green")
    for head, rows in tables:
        columns = [Column(name, right=number > 0) for number, name in enumerate(head)]
        Table(console, columns, rows).show()
        console.print()
    for note in notes:
        console.print(f"- {note}")

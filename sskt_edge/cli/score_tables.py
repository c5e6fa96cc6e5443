"""Print a task's figures for each class, in the first of its alternative tables that fits."""

from __future__ import annotations

from sskt_edge.cli.console import Console
from sskt_edge.cli.table import Column, Table
from sskt_edge.tasks.score_table import Alternatives, Head


def show_scores(console: Console, name: str, alternatives: Alternatives) -> None:
    """Print the tables of one result.

    Args:
        console: where to print.
        name: what ran, such as "fp32 onnxruntime-cpu".
        alternatives: from `Scores.tables`.
    """
    for number, tables in enumerate(alternatives, 1):
        shown = [(table.title, Table(console, [_column(head) for head in table.heads], table.rows)) for table in tables]
        if number < len(alternatives) and not all(table.fits for _, table in shown):
            continue
        for place, (title, table) in enumerate(shown):
            console.print(f"\n{title}" if place else f"{name}: {title}", style="italic")
            table.show()
        return


def _column(head: Head) -> Column:
    return Column(head.name, head.is_number, head.folds, "bold" if head.is_main else "")

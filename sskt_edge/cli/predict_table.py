"""Print predictions as a table: one row per image, with its classes by rank."""

from __future__ import annotations

from collections.abc import Sequence

from sskt_edge.cli.console import Console
from sskt_edge.cli.table import Column, Table
from sskt_edge.common.printable import printable
from sskt_edge.evaluation.predict import Prediction
from sskt_edge.tasks.task import Predicted


def show_predictions(found: Sequence[Prediction]) -> None:
    """Print the successful predictions; the classes that the network decides on are marked."""
    rows = [[printable(str(one.path)), *map(_cell, one.classes)] for one in found if one.classes]
    if rows:
        columns = max(map(len, rows))
        ranks = ("likeliest (*: decided)" if number == 1 else f"{number}." for number in range(1, columns))
        cells = [row + [""] * (columns - len(row)) for row in rows]
        Table(Console(), [Column("image", folds=True), *map(Column, ranks)], cells).show()


def _cell(one: Predicted) -> str:
    return f"{printable(one.name)} {one.probability:.1%}" + (" *" if one.is_decided else "")

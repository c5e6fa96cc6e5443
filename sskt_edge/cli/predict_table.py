"""Predictions as a table: a row an image, its classes by rank."""

from __future__ import annotations

from collections.abc import Sequence

from sskt_edge.cli.console import Console
from sskt_edge.cli.table import Column, Table
from sskt_edge.common.printable import printable
from sskt_edge.evaluation.predict import Prediction


def show_predictions(found: Sequence[Prediction]) -> None:
    """Print those that have an answer."""
    rows = [
        [printable(str(one.path)), *(f"{printable(name)} {share:.1%}" for name, share in one.classes)]
        for one in found
        if one.classes
    ]
    if rows:
        ranks = ("likeliest" if number == 1 else f"{number}." for number in range(1, len(rows[0])))
        Table(Console(), [Column("image", folds=True), *map(Column, ranks)], rows).show()

"""Which classes are taken for which: the whole matrix where it can be read, else where the errors are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sskt_edge.cli.console import Console
from sskt_edge.cli.table import Column, Table
from sskt_edge.evaluation.evaluate import SessionResult
from sskt_edge.tasks.metrics import MOST_CLASSES

_MOST_COLUMNS = 12  # a larger matrix is not read by people
_MOST_ROWS = 10


def show_confusion(console: Console, classes: Sequence[str], result: SessionResult) -> None:
    """Print the matrix, a row for each true class; or, if it is too large, the hardest classes and the confusions."""
    matrix = _matrix(console, classes, result) if len(classes) <= _MOST_COLUMNS else None
    if matrix is None:
        _show_hardest(console, classes, result)
        _show_confused(console, classes, result)
        return
    console.print(f"{result.name}: true class (rows), answered as (columns)", style="italic")
    matrix.show()


def _matrix(console: Console, classes: Sequence[str], result: SessionResult) -> Table | None:
    """The matrix with the classes' names above its columns, or, if only that fits, with their numbers."""
    numbered = [f"{number} {name}" for number, name in enumerate(classes, 1)]
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    for lefts, heads in ((classes, classes), (numbered, numbers)):
        columns = [Column(folds=True), *(Column(head, right=True) for head in heads)]
        rows = [
            [left, *(str(count) if count else "·" for count in counts), _share(share)]
            for left, counts, share in zip(lefts, result.scores.confusion, result.scores.per_class, strict=True)
        ]
        table = Table(console, [*columns, Column("right", right=True, style="bold")], rows)
        if table.fits:
            return table
    return None


def _show_hardest(console: Console, classes: Sequence[str], result: SessionResult) -> None:
    """The classes of which the smallest share is right; nothing if every image is."""
    shares, images = result.scores.per_class, np.bincount(result.scores.labels, minlength=len(classes))
    wrong = np.flatnonzero(shares < 1)
    hardest = wrong[np.argsort(shares[wrong], kind="stable")][:_MOST_ROWS]
    if not len(hardest):
        return
    title = f"{result.name}: the {len(hardest)} hardest of {len(classes):,} classes; --json has them all"
    console.print(title, style="italic")
    rows = [[classes[number], _share(shares[number]), f"{images[number]:,}"] for number in hardest]
    Table(
        console, [Column("true class", folds=True), Column("right", right=True), Column("of", right=True)], rows
    ).show()


def _show_confused(console: Console, classes: Sequence[str], result: SessionResult) -> None:
    """The pairs of classes that are confused most often; nothing if none are."""
    labels, answers = result.scores.labels, result.scores.answers
    wrong = (answers != labels) & (answers >= 0)
    pairs, counts = np.unique(labels[wrong] * len(classes) + answers[wrong], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_MOST_ROWS]
    if not len(most):
        return
    whole = "; --json has the whole matrix" if len(classes) <= MOST_CLASSES else ""
    console.print(f"\nthe {len(most)} most frequent of {len(pairs):,} confusions{whole}", style="italic")
    columns = [Column("true class"), Column("answered as", folds=True), Column("images", right=True)]
    places = [(*divmod(int(pairs[number]), len(classes)), int(counts[number])) for number in most]
    Table(console, columns, [[classes[true], classes[answer], f"{count:,}"] for true, answer, count in places]).show()


def _share(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.1%}"

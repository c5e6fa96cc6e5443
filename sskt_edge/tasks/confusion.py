"""Which classes are taken for which: the whole matrix where it can be read, else where the errors are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.tasks.score_table import Alternatives, Head, ScoreTable, as_share

MOST_CLASSES = 1000
"""The confusion matrix of more classes has too many cells to write down."""

_MOST_COLUMNS = 12  # a larger matrix is not read by people
_MOST_ROWS = 10

_Labels = npt.NDArray[np.integer[Any]]


def confusion(answers: npt.NDArray[np.int64], labels: _Labels, classes: int) -> npt.NDArray[np.int64]:
    """How often each class (row) was answered as each (column). [N], as from `predictions`, [N] → int64 [C,C]."""
    sure = answers >= 0
    counts = np.bincount(labels[sure] * classes + answers[sure], minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def confusion_tables(
    classes: Sequence[str], labels: _Labels, answers: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> Alternatives:
    """The matrix with the classes' names above its columns, or with their numbers, or the errors alone.

    Args:
        classes: the C names.
        labels: int64 [N], the truth.
        answers: int64 [N], as from `predictions`.
        shares: float64 [C], the share that is right of each class.
    """
    errors = tuple(
        table for table in (_hardest(classes, labels, shares), _confused(classes, labels, answers)) if table.rows
    )
    if len(classes) > _MOST_COLUMNS:
        return (errors,)
    matrix = confusion(answers, labels, len(classes))
    numbered = [f"{number} {name}" for number, name in enumerate(classes, 1)]
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    return (
        (_matrix(classes, classes, matrix, shares),),
        (_matrix(numbered, numbers, matrix, shares),),
        errors,
    )


def _matrix(
    lefts: Sequence[str], heads: Sequence[str], matrix: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> ScoreTable:
    return ScoreTable(
        "true class (rows), answered as (columns)",
        (Head(folds=True), *(Head(head, is_number=True) for head in heads), Head("right", True, is_main=True)),
        tuple(
            (left, *(str(count) if count else "·" for count in counts), as_share(share))
            for left, counts, share in zip(lefts, matrix, shares.tolist(), strict=True)
        ),
    )


def _hardest(classes: Sequence[str], labels: _Labels, shares: npt.NDArray[np.float64]) -> ScoreTable:
    """The classes of which the smallest share is right; no row if every image is."""
    images = np.bincount(labels, minlength=len(classes))
    wrong = np.flatnonzero(shares < 1)
    hardest = wrong[np.argsort(shares[wrong], kind="stable")][:_MOST_ROWS].tolist()
    return ScoreTable(
        f"the {len(hardest)} hardest of {len(classes):,} classes; --json has them all",
        (Head("true class", folds=True), Head("right", True), Head("of", True)),
        tuple((classes[number], as_share(shares[number]), f"{images[number]:,}") for number in hardest),
    )


def _confused(classes: Sequence[str], labels: _Labels, answers: npt.NDArray[np.int64]) -> ScoreTable:
    """The pairs of classes that are confused most often; no row if none are."""
    wrong = (answers != labels) & (answers >= 0)
    pairs, counts = np.unique(labels[wrong] * len(classes) + answers[wrong], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_MOST_ROWS]
    whole = "; --json has the whole matrix" if len(classes) <= MOST_CLASSES else ""
    places = [(*divmod(int(pairs[number]), len(classes)), int(counts[number])) for number in most]
    return ScoreTable(
        f"the {len(most)} most frequent of {len(pairs):,} confusions{whole}",
        (Head("true class"), Head("answered as", folds=True), Head("images", True)),
        tuple((classes[true], classes[answer], f"{count:,}") for true, answer, count in places),
    )

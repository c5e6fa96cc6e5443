"""Which classes are confused: the whole matrix if it is small enough to read, else the most frequent errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.tasks.score_table import Alternatives, Head, ScoreTable, as_share

MOST_CLASSES = 1000
"""The confusion matrix of more classes has too many cells to write."""

_MOST_COLUMNS = 12  # nobody reads a larger matrix
_MOST_ROWS = 10

_Labels = npt.NDArray[np.integer[Any]]


def confusion(answers: npt.NDArray[np.int64], labels: _Labels, classes: int) -> npt.NDArray[np.int64]:
    """How often each class (row) was predicted as each class (column). [N] from `predictions`, [N] → int64 [C,C]."""
    sure = answers >= 0
    counts = np.bincount(labels[sure] * classes + answers[sure], minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def confusion_tables(
    classes: Sequence[str], labels: _Labels, answers: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> Alternatives:
    """Alternatives: the matrix with class names above its columns, with class numbers, or only the errors.

    Args:
        classes: the C class names.
        labels: int64 [N], the true classes.
        answers: int64 [N], as returned by `predictions`.
        shares: float64 [C], the accuracy for each class.
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
        "true class (rows), predicted class (columns)",
        (Head(folds=True), *(Head(head, is_number=True) for head in heads), Head("right", True, is_main=True)),
        tuple(
            (left, *(str(count) if count else "·" for count in counts), as_share(share))
            for left, counts, share in zip(lefts, matrix, shares.tolist(), strict=True)
        ),
    )


def _hardest(classes: Sequence[str], labels: _Labels, shares: npt.NDArray[np.float64]) -> ScoreTable:
    """The classes with the lowest accuracy; no row if every image is right."""
    images = np.bincount(labels, minlength=len(classes))
    wrong = np.flatnonzero(shares < 1)
    hardest = wrong[np.argsort(shares[wrong], kind="stable")][:_MOST_ROWS].tolist()
    return ScoreTable(
        f"the {len(hardest)} hardest of {len(classes):,} classes; --json has them all",
        (Head("true class", folds=True), Head("right", True), Head("of", True)),
        tuple((classes[number], as_share(shares[number]), f"{images[number]:,}") for number in hardest),
    )


def _confused(classes: Sequence[str], labels: _Labels, answers: npt.NDArray[np.int64]) -> ScoreTable:
    """The pairs of classes that are confused most often; no row if there are none."""
    wrong = (answers != labels) & (answers >= 0)
    pairs, counts = np.unique(labels[wrong] * len(classes) + answers[wrong], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_MOST_ROWS]
    whole = "; --json has the whole matrix" if len(classes) <= MOST_CLASSES else ""
    places = [(*divmod(int(pairs[number]), len(classes)), int(counts[number])) for number in most]
    return ScoreTable(
        f"the {len(most)} most frequent of {len(pairs):,} confusions{whole}",
        (Head("true class"), Head("predicted as", folds=True), Head("images", True)),
        tuple((classes[true], classes[answer], f"{count:,}") for true, answer, count in places),
    )

"""Accuracy and related figures from logits, in numpy.

All shares are fractions of one. Of equal logits, the lower class number comes first, as in argmax. An image with a
logit that is not finite counts as wrong, whatever its other logits are, and is in no column of the confusion matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError
from sskt_edge.tasks.confusion import MOST_CLASSES, confusion, confusion_tables
from sskt_edge.tasks.score_table import Alternatives
from sskt_edge.tasks.task import Drop, Labels, Logits, scores_as_json
from sskt_edge.tasks.wilson import Z, wilson_interval

METRIC = "accuracy"


@dataclass(frozen=True, eq=False)
class AnswerScores:
    """The accuracy of a network's answers.

    Attributes:
        images: the number of images.
        value: the accuracy, the share of images whose true class comes first.
        top5: the share of images whose true class is among the first five; None for five classes or fewer.
        per_class: float64 [C], the accuracy for each class; NaN for a class without images.
        labels: int64 [N], the true classes.
        answers: int64 [N], the first class; -1 if a logit is not finite.
        not_finite: how many images have a logit that is not finite.
    """

    images: int
    value: float
    top5: float | None
    per_class: npt.NDArray[np.float64]
    labels: Labels
    answers: npt.NDArray[np.int64]
    not_finite: int

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return METRIC

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """int64 [C,C]: rows are the true class, columns the answer. Computed on request, since it grows with C²."""
        return confusion(self.answers, self.labels, len(self.per_class))

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval for the accuracy."""
        return wilson_interval(self.value, self.images)

    @property
    def further(self) -> dict[str, float]:
        """The share of images whose true class is among the first five, if there are more than five classes."""
        return {} if self.top5 is None else {"top5": self.top5}

    def tables(self, classes: Sequence[str]) -> Alternatives:
        """Tables of the classes that are confused with each other."""
        return confusion_tables(classes, self.labels, self.answers, self.per_class)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None, and so does the confusion matrix of more than 1000 classes."""
        matrix = self.confusion.tolist() if len(self.per_class) <= MOST_CLASSES else None
        return scores_as_json(self) | {"confusion": matrix}


def predictions(logits: Logits) -> npt.NDArray[np.int64]:
    """[N,C] → int64 [N]: the first class, or -1 if a logit is not finite."""
    return np.where(np.isfinite(logits).all(axis=1), np.argmax(logits, axis=1), -1)


def top_k(logits: Logits, labels: Labels, k: int) -> float:
    """The share of images whose true class is among the first k. [N,C], [N] → 0…1.

    Raises:
        DataError: shapes that do not fit, labels out of range, or no images.
    """
    _check(logits, labels)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before = (logits > own) | ((logits == own) & earlier)
    return float(np.mean((before.sum(axis=1) < k) & np.isfinite(logits).all(axis=1)))


def per_class(logits: Logits, labels: Labels, classes: int) -> npt.NDArray[np.float64]:
    """The accuracy for each class, NaN for a class without images. [N,C], [N] → float64 [C].

    Raises:
        DataError: shapes that do not fit, labels out of range, or no images.
    """
    _check(logits, labels, classes)
    right = np.bincount(labels[predictions(logits) == labels], minlength=classes)
    total = np.bincount(labels, minlength=classes)
    shares = np.full(classes, np.nan)
    np.divide(right, total, out=shares, where=total > 0)
    return shares


def answer_scores(logits: Logits, labels: Labels, classes: int) -> AnswerScores:
    """Compute all figures. [N,C], [N] → AnswerScores.

    Raises:
        DataError: shapes that do not fit, labels out of range, or no images.
    """
    return AnswerScores(
        images=len(labels),
        value=top_k(logits, labels, 1),
        top5=top_k(logits, labels, 5) if classes > 5 else None,
        per_class=per_class(logits, labels, classes),
        labels=labels,
        answers=predictions(logits),
        not_finite=int((~np.isfinite(logits)).any(axis=1).sum()),
    )


def accuracy_drop(before: Logits, after: Logits, labels: Labels) -> Drop:
    """The accuracy of `before` minus that of `after`. [N,C], [N,C], [N] → Drop.

    Raises:
        DataError: shapes that do not fit, labels out of range, or no images.
    """
    _check(before, labels)
    _check(after, labels)
    first, second = predictions(before) == labels, predictions(after) == labels
    return paired_drop(len(labels), int((first & ~second).sum()), int((second & ~first).sum()))


def paired_drop(images: int, lost: int, gained: int) -> Drop:
    """The drop, with an adjusted Wald interval.

    D. G. Bonett, R. M. Price, "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on
    Paired Data", Journal of Educational and Behavioral Statistics 37 (2012): one image is added to each of the counts.

    Args:
        images: the number of images.
        lost: the images that are right before and wrong after.
        gained: the images that are wrong before and right after.
    """
    minus, plus = (lost + 1) / (images + 2), (gained + 1) / (images + 2)
    half = Z * math.sqrt((minus + plus - (minus - plus) ** 2) / (images + 2))
    return Drop(images, (lost - gained) / images, (minus - plus - half, minus - plus + half))


def _check(logits: Logits, labels: Labels, classes: int | None = None) -> None:
    shape = (len(labels), logits.shape[-1] if classes is None else classes)
    if logits.shape != shape or labels.ndim != 1 or len(labels) == 0:
        raise DataError(f"Got logits {list(logits.shape)} for labels {list(labels.shape)}; expected [N,classes], [N].")
    if labels.min() < 0 or labels.max() >= shape[1]:
        raise DataError(f"Labels go from {labels.min()} to {labels.max()}; expected 0 to {shape[1] - 1}.")

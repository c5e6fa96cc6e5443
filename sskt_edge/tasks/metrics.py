"""Accuracy from logits, in numpy.

All shares are of one. Of equal logits the lower class number comes first, as argmax has it. An image with a logit that
is not finite is wrong, whatever its other logits say, and is in no column of the confusion matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError
from sskt_edge.tasks.confusion import MOST_CLASSES, confusion, confusion_tables
from sskt_edge.tasks.score_table import Alternatives

_Z = 1.959964  # 95 % of a normal distribution lie within this many standard deviations
Logits = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Scores:
    """How right the answers are.

    Attributes:
        images: how many images.
        top1: share of images whose class comes first.
        top5: share of images whose class is among the first five; None with five classes or fewer.
        per_class: float64 [C], the share that is right of each class; NaN for a class without images.
        labels: int64 [N], the truth.
        answers: int64 [N], the first class; -1 where a logit is not finite.
        not_finite: how many images have a logit that is not finite.
    """

    images: int
    top1: float
    top5: float | None
    per_class: npt.NDArray[np.float64]
    labels: Labels
    answers: npt.NDArray[np.int64]
    not_finite: int

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """int64 [C,C], rows are the truth, columns the answer; made when it is asked for, since it grows with C²."""
        return confusion(self.answers, self.labels, len(self.per_class))

    @property
    def value(self) -> float:
        """The accuracy."""
        return self.top1

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the accuracy."""
        return interval(self.top1, self.images)

    @property
    def further(self) -> dict[str, float]:
        """The share of images whose class is among the first five, where there are more than five."""
        return {} if self.top5 is None else {"top5": self.top5}

    def tables(self, classes: Sequence[str]) -> Alternatives:
        """Which classes are taken for which."""
        return confusion_tables(classes, self.labels, self.answers, self.per_class)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None, and so does the confusion matrix of more than 1000 classes."""
        return {
            "images": self.images,
            "top1": self.top1,
            "top1_interval": list(interval(self.top1, self.images)),
            "top5": self.top5,
            "per_class": [None if np.isnan(share) else float(share) for share in self.per_class],
            "confusion": self.confusion.tolist() if len(self.per_class) <= MOST_CLASSES else None,
            "not_finite": self.not_finite,
        }


def predictions(logits: Logits) -> npt.NDArray[np.int64]:
    """[N,C] → int64 [N]: the first class, or -1 where a logit is not finite."""
    return np.where(np.isfinite(logits).all(axis=1), np.argmax(logits, axis=1), -1)


def top_k(logits: Logits, labels: Labels, k: int) -> float:
    """The share of images whose true class is among the first k. [N,C], [N] → 0…1."""
    _check(logits, labels)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before = (logits > own) | ((logits == own) & earlier)
    return float(np.mean((before.sum(axis=1) < k) & np.isfinite(logits).all(axis=1)))


def per_class(logits: Logits, labels: Labels, classes: int) -> npt.NDArray[np.float64]:
    """The share that is right of each class, NaN for a class without images. [N,C], [N] → float64 [C]."""
    _check(logits, labels, classes)
    right = np.bincount(labels[predictions(logits) == labels], minlength=classes)
    total = np.bincount(labels, minlength=classes)
    shares = np.full(classes, np.nan)
    np.divide(right, total, out=shares, where=total > 0)
    return shares


def scores(logits: Logits, labels: Labels, classes: int) -> Scores:
    """All of it. [N,C], [N] → Scores.

    Raises:
        DataError: shapes that do not fit, labels out of range, or no images.
    """
    return Scores(
        images=len(labels),
        top1=top_k(logits, labels, 1),
        top5=top_k(logits, labels, 5) if classes > 5 else None,
        per_class=per_class(logits, labels, classes),
        labels=labels,
        answers=predictions(logits),
        not_finite=int((~np.isfinite(logits)).any(axis=1).sum()),
    )


def interval(share: float, images: int) -> tuple[float, float]:
    """Where the true share lies, with 95 %, if the images are a fair draw: Wilson's score interval.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    z2 = _Z**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _Z * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2)) / (1 + z2 / images)
    return max(0.0, centre - half), min(1.0, centre + half)


class Cost(NamedTuple):
    """What a file costs in accuracy, by the same images that the trained network answered.

    Attributes:
        images: how many.
        lost: those that the trained network has right and the file has wrong.
        gained: the other way round.
    """

    images: int
    lost: int
    gained: int

    @property
    def drop(self) -> float:
        """The trained network's accuracy less the file's, as a share of one."""
        return (self.lost - self.gained) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true drop lies, with 95 %, if the images are a fair draw: an adjusted Wald interval.

        D. G. Bonett, R. M. Price, "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on
        Paired Data", Journal of Educational and Behavioral Statistics 37 (2012): one image is added to either count.
        """
        lost, gained = (self.lost + 1) / (self.images + 2), (self.gained + 1) / (self.images + 2)
        half = _Z * math.sqrt((lost + gained - (lost - gained) ** 2) / (self.images + 2))
        return lost - gained - half, lost - gained + half


def cost(trained: Logits, logits: Logits, labels: Labels) -> Cost:
    """What a file with `logits` costs against the trained network's. [N,C], [N,C], [N] → Cost.

    Raises:
        DataError: shapes that do not fit, labels out of range, or no images.
    """
    _check(trained, labels)
    _check(logits, labels)
    before, after = predictions(trained) == labels, predictions(logits) == labels
    return Cost(len(labels), int((before & ~after).sum()), int((after & ~before).sum()))


def _check(logits: Logits, labels: Labels, classes: int | None = None) -> None:
    shape = (len(labels), logits.shape[-1] if classes is None else classes)
    if logits.shape != shape or labels.ndim != 1 or len(labels) == 0:
        raise DataError(f"Got logits {list(logits.shape)} for labels {list(labels.shape)}; expected [N,classes], [N].")
    if labels.min() < 0 or labels.max() >= shape[1]:
        raise DataError(f"Labels go from {labels.min()} to {labels.max()}; expected 0 to {shape[1] - 1}.")

"""Any number of classes per image, learned by binary cross-entropy and measured by mAP.

Labels are int8 [N,K]: 1 (has the class), 0 (does not have it) or -1 (not known). -1 is for a class that nobody can
determine, such as the "difficult" objects of PASCAL VOC: it is ignored by the loss and by all figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError
from sskt_edge.tasks.linear_fit import one_by_one
from sskt_edge.tasks.mean_ap import METRIC, RankingScores, mean_ap, mean_ap_drop, ranking_scores
from sskt_edge.tasks.task import Agreement, Drop, Labels, Linear, Logits, Predicted

# The orders that the chance level is the mean of, at most, and the labels that they order in all: of many images, fewer
# orders say as much. Its standard error is then at most a few per cent of it.
_ORDERS, _ORDERED = 20, 2_000_000

if TYPE_CHECKING:
    from torch import Tensor

LEAST_WEIGHT, MOST_WEIGHT = 0.1, 10.0
"""Limits of balanced weights: otherwise a class with three positives in thousands would dominate the others."""


class MultiLabel:
    """The task with any number of classes per image. Its methods are those of `Task`."""

    name = "multi_label"
    metric = METRIC
    one_class = False
    same = "same decisions"
    agreeing = "decisions, one per image and class, are the trained network's"

    def check(self, labels: Labels, classes: int) -> None:
        """Refuse labels that are not integers [N,K] of 1, 0 and -1.

        Raises:
            DataError: the labels have another form.
        """
        if labels.ndim != 2 or labels.shape[1] != classes or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(f"Got labels {labels.dtype} {list(labels.shape)}; expected integers [N,{classes}].")
        if labels.size and (labels.min() < -1 or labels.max() > 1):
            raise DataError(f"Labels go from {labels.min()} to {labels.max()}; expected 1, 0 and -1 (ignored).")

    def from_classes(self, has: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """The labels unchanged. int8 [N,K] → int8 [N,K]."""
        return has

    def known(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which images have at least one label that is known. [N,K] → bool [N]."""
        return np.asarray((labels >= 0).any(axis=1))

    def unknown(self, images: int, classes: int) -> npt.NDArray[np.int8]:
        """-1 for each image and class."""
        return np.full((images, classes), -1, dtype=np.int8)

    def example(self, images: int, classes: int) -> npt.NDArray[np.int8]:
        """One class per image, each class in turn."""
        return np.eye(classes, dtype=np.int8)[np.arange(images) % classes]

    def named(self, labels: Labels, classes: Sequence[str]) -> list[str]:
        """The classes of each image.

        >>> MULTI_LABEL.named(np.array([[1, 1], [0, -1]]), ["cat", "dog"])
        ['cat, dog', '']
        """
        return [", ".join(name for name, has in zip(classes, row, strict=True) if has == 1) for row in labels.tolist()]

    def class_counts(self, labels: Labels, classes: int) -> npt.NDArray[np.int64]:  # noqa: ARG002 — as every task has it
        """How many images have each class. [N,K] → int64 [K]."""
        return np.asarray((labels == 1).sum(axis=0), dtype=np.int64)

    def strata(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """The classes, and "none of them". [N,K] → bool [N,K+1].

        >>> MULTI_LABEL.strata(np.array([[1, 1], [0, -1]])).tolist()
        [[True, True, False], [False, False, True]]
        """
        has = labels == 1
        return np.append(has, ~has.any(axis=1, keepdims=True), axis=1)

    def class_weights(self, labels: Labels, classes: int) -> npt.NDArray[np.float32]:
        """The weight of a positive of each class: negatives / positives, within LEAST_WEIGHT and MOST_WEIGHT.

        >>> MULTI_LABEL.class_weights(np.array([[1, 1], [0, 1], [0, 1], [0, 0]]), classes=2).tolist()
        [3.0, 0.3333333432674408]
        """
        positives = np.maximum(self.class_counts(labels, classes), 1)
        weights = np.clip((labels == 0).sum(axis=0) / positives, LEAST_WEIGHT, MOST_WEIGHT)
        return np.asarray(weights, dtype=np.float32)

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        class_weights: Tensor | None = None,
        image_weights: Tensor | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> Tensor:
        """Binary cross-entropy: the mean over the known classes of each image, then their (weighted) mean or sum.

        [N,K], [N,K] → scalar. `class_weights` multiply the loss of the positives.
        """
        import torch
        import torch.nn.functional as F

        logits, known = logits.float(), labels >= 0
        each = F.binary_cross_entropy_with_logits(
            logits, (labels == 1).to(logits.dtype), pos_weight=class_weights, reduction="none"
        )
        losses = each.masked_fill(~known, 0.0).sum(dim=1) / known.sum(dim=1).clamp(min=1)
        counted = known.any(dim=1).to(losses.dtype)
        if image_weights is not None:
            counted = counted * image_weights
        total = (losses * counted).sum()
        return total / counted.sum().clamp(min=torch.finfo(counted.dtype).tiny) if reduction == "mean" else total

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """KL of each class's sigmoid at T, the teacher's against ours: the mean over classes. [N,K], [N,K] → [N]."""
        import torch.nn.functional as F

        ours, theirs = (one.float() / temperature for one in (logits, teacher))
        has = theirs.sigmoid()
        apart = has * (F.logsigmoid(theirs) - F.logsigmoid(ours))
        return (apart + (1 - has) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))).mean(dim=1)

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of images with all known classes decided correctly. [N,K], [N,K] → scalar."""
        right = ((logits > 0) == (labels == 1)) | (labels < 0)
        return (right.all(dim=1) & (labels >= 0).any(dim=1)).sum()

    def decisions(self, logits: Logits) -> npt.NDArray[np.int8]:
        """1 if the logit is above 0, else 0; -1 for all classes of an image with a logit that is not finite. [N,K]."""
        finite = np.isfinite(logits).all(axis=1, keepdims=True)
        return np.where(finite, logits > 0, -1).astype(np.int8)

    def agreement(self, reference: Logits, other: Logits) -> Agreement:
        """Count equal decisions, one per image and class; an image flips if one of its decisions does."""
        ours, theirs = self.decisions(reference), self.decisions(other)
        same = (ours == theirs) & (ours >= 0)
        flips = tuple(np.flatnonzero(~same.all(axis=1)).tolist())
        return Agreement(len(same), same.size, int(same.sum()), flips)

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        """The sigmoid. [N,K] → float64 [N,K]."""
        shares: npt.NDArray[np.float64] = (1 + np.tanh(logits.astype(np.float64) / 2)) / 2
        return shares

    def value(self, logits: Logits, labels: Labels) -> float:
        """The mAP by the area under the raised curve, as in PASCAL VOC from 2010 on. [N,K], [N,K] → 0…1.

        Raises:
            DataError: shapes that do not fit, or no image has a class.
        """
        return mean_ap(logits, labels)

    def chance(self, labels: Labels, classes: int) -> float:
        """The mAP of a random order of the images: the mean over up to 20 drawn orders, which are always the same.

        It is larger than the share of images that have a class, since a ranking's first images count in several places.

        >>> round(MULTI_LABEL.chance(np.array([[1, 1], [0, -1], [0, 1], [0, 0]]), classes=2), 2)
        0.71
        """
        random, orders = np.random.default_rng(0), max(min(_ORDERS, _ORDERED // labels.size), 1)
        drawn = (random.random((len(labels), classes), dtype=np.float32) for _ in range(orders))
        return float(np.mean([mean_ap(logits, labels) for logits in drawn]))

    def fit_linear(self, inputs: npt.NDArray[np.float32], labels: Labels, start: Linear, strength: float) -> Linear:
        """One logistic regression for each class, on the images whose label is known."""
        return one_by_one(inputs, labels, start, strength)

    def sampling_error(self, value: float, images: int) -> None:
        """None: it cannot be derived from mAP alone; `scores` has the interval of a bootstrap."""
        del value, images

    def scores(self, logits: Logits, labels: Labels, classes: int) -> RankingScores:
        """The mAP with its interval and by other definitions, and AP, precision and recall of each class.

        Raises:
            DataError: shapes that do not fit, values that are not labels, or no image has a class.
        """
        self.check(labels, classes)
        return ranking_scores(logits, labels)

    def drop(self, before: Logits, after: Logits, labels: Labels) -> Drop:
        """The mAP of `before` minus that of `after`, with the interval of a paired bootstrap over images.

        Raises:
            DataError: shapes that do not fit.
        """
        return mean_ap_drop(before, after, labels)

    def predicted(self, logits: Logits, classes: Sequence[str]) -> tuple[Predicted, ...]:
        """The classes by descending sigmoid; the network decides on those above 1/2. [K].

        >>> [one.name for one in MULTI_LABEL.predicted(np.array([1.0, -1.0, 2.0]), "abc") if one.is_decided]
        ['c', 'a']
        """
        shares = self.probabilities(logits[None])[0]
        first = np.argsort(-logits, kind="stable").tolist()
        return tuple(Predicted(classes[one], float(shares[one]), bool(logits[one] > 0)) for one in first)


MULTI_LABEL = MultiLabel()

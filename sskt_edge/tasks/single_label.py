"""One class per image, learned by cross-entropy and measured by accuracy.

Labels are int64 [N], with -1 for an image without a label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError
from sskt_edge.tasks.accuracy import METRIC, AnswerScores, accuracy_drop, answer_scores, predictions, top_k
from sskt_edge.tasks.linear_fit import multinomial
from sskt_edge.tasks.softmax import log_softmax
from sskt_edge.tasks.task import Agreement, Drop, Labels, Linear, Logits, Predicted

if TYPE_CHECKING:
    from torch import Tensor


class SingleLabel:
    """The task with one class per image. Its methods are those of `Task`."""

    name = "single_label"
    metric = METRIC
    one_class = True
    same = "same class"
    agreeing = "images have the trained network's class"

    def check(self, labels: Labels, classes: int) -> None:
        """Refuse labels that are not integers [N] from -1 to classes - 1.

        Raises:
            DataError: the labels have another form.
        """
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(f"Got labels {labels.dtype} {list(labels.shape)}; expected integers [N].")
        if len(labels) and (labels.min() < -1 or labels.max() >= classes):
            raise DataError(f"Labels go from {labels.min()} to {labels.max()}; expected -1 (none) to {classes - 1}.")

    def from_classes(self, has: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """The class of each image; -1 if it does not have exactly one. int8 [N,K] → int64 [N].

        >>> SINGLE_LABEL.from_classes(np.array([[0, 1], [1, 1]], dtype=np.int8)).tolist()
        [1, -1]
        """
        one = (has == 1).sum(axis=1) == 1
        return np.where(one, (has == 1).argmax(axis=1), -1).astype(np.int64)

    def known(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which images have a label. [N] → bool [N]."""
        return labels >= 0

    def unknown(self, images: int, classes: int) -> npt.NDArray[np.int64]:  # noqa: ARG002 — as every task has it
        """-1 for each image."""
        return np.full(images, -1, dtype=np.int64)

    def example(self, images: int, classes: int) -> npt.NDArray[np.int64]:
        """The classes in turn.

        >>> SINGLE_LABEL.example(images=5, classes=3).tolist()
        [0, 1, 2, 0, 1]
        """
        return np.arange(images, dtype=np.int64) % classes

    def named(self, labels: Labels, classes: Sequence[str]) -> list[str]:
        """The class of each image.

        >>> SINGLE_LABEL.named(np.array([1, -1]), ["cat", "dog"])
        ['dog', '']
        """
        return [classes[label] if label >= 0 else "" for label in labels.tolist()]

    def class_counts(self, labels: Labels, classes: int) -> npt.NDArray[np.int64]:
        """How many images have each class. [N] → int64 [K]."""
        return np.bincount(labels[labels >= 0], minlength=classes).astype(np.int64)

    def strata(self, labels: Labels) -> npt.NDArray[np.int64]:
        """The classes. [N] → int64 [N]."""
        return labels.astype(np.int64)

    def class_weights(self, labels: Labels, classes: int) -> npt.NDArray[np.float32]:
        """N / (K · n_k) for a class with n_k of N images, as scikit-learn's "balanced"; 1 for a class without images.

        >>> SINGLE_LABEL.class_weights(np.array([0, 0, 0, 1]), classes=2).tolist()
        [0.6666666865348816, 2.0]
        """
        counts = self.class_counts(labels, classes)
        weights = np.ones(classes)
        np.divide(counts.sum(), classes * counts, out=weights, where=counts > 0)
        return weights.astype(np.float32)

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        class_weights: Tensor | None = None,
        image_weights: Tensor | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> Tensor:
        """Cross-entropy; a weighted mean is divided by the sum of its weights, as in torch. [N,K], [N] → scalar."""
        import torch.nn.functional as F

        logits = logits.float()
        if image_weights is None:
            return F.cross_entropy(logits, labels, weight=class_weights, ignore_index=-1, reduction=reduction)
        losses = F.cross_entropy(logits, labels, weight=class_weights, ignore_index=-1, reduction="none")
        total = (losses * image_weights).sum()
        if reduction == "sum":
            return total
        counted = image_weights * (labels >= 0)
        if class_weights is not None:
            counted = counted * class_weights[labels.clamp(min=0)]
        return total / counted.sum()

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """KL(softmax(teacher/T) ‖ softmax(logits/T)) of each image. [N,K], [N,K] → [N]."""
        import torch.nn.functional as F

        ours, theirs = (F.log_softmax(one.float() / temperature, dim=1) for one in (logits, teacher))
        return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=1)

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of images whose true class comes first. [N,K], [N] → scalar."""
        return (logits.argmax(dim=1) == labels).sum()

    def decisions(self, logits: Logits) -> npt.NDArray[np.int64]:
        """The first class, or the lowest one of equal logits; -1 if a logit is not finite. [N,K] → int64 [N]."""
        return predictions(logits)

    def agreement(self, reference: Logits, other: Logits) -> Agreement:
        """Count the images with the same first class."""
        ours, theirs = self.decisions(reference), self.decisions(other)
        same = (ours == theirs) & (ours >= 0)
        flips = tuple(np.flatnonzero(~same).tolist())
        return Agreement(len(same), len(same), int(same.sum()), flips)

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        """The softmax. [N,K] → float64 [N,K]."""
        return np.asarray(np.exp(log_softmax(logits)))

    def value(self, logits: Logits, labels: Labels) -> float:
        """The accuracy. [N,K], [N] → 0…1.

        Raises:
            DataError: shapes that do not fit, labels out of range, or no images.
        """
        return top_k(logits, labels, 1)

    def chance(self, labels: Labels, classes: int) -> float:
        """The share of the most frequent class.

        >>> SINGLE_LABEL.chance(np.array([0, 1, 1, -1]), classes=2)
        0.6666666666666666
        """
        return float(self.class_counts(labels, classes).max() / self.known(labels).sum())

    def fit_linear(self, inputs: npt.NDArray[np.float32], labels: Labels, start: Linear, strength: float) -> Linear:
        """Multinomial logistic regression."""
        return multinomial(inputs, labels, start, strength)

    def sampling_error(self, value: float, images: int) -> float:
        """The standard error of a share: √(p·(1 - p) / N)."""
        return math.sqrt(value * (1 - value) / images)

    def scores(self, logits: Logits, labels: Labels, classes: int) -> AnswerScores:
        """Accuracy with Wilson's interval, top-5 accuracy, and the confusions.

        Raises:
            DataError: shapes that do not fit, labels out of range, or no images.
        """
        return answer_scores(logits, labels, classes)

    def drop(self, before: Logits, after: Logits, labels: Labels) -> Drop:
        """The accuracy of `before` minus that of `after`, with an adjusted Wald interval for paired images.

        Raises:
            DataError: shapes that do not fit, labels out of range, or no images.
        """
        return accuracy_drop(before, after, labels)

    def predicted(self, logits: Logits, classes: Sequence[str]) -> tuple[Predicted, ...]:
        """The classes by descending softmax; the network decides on the first. [K].

        >>> SINGLE_LABEL.predicted(np.array([2.0, 2.0]), ["cat", "dog"])[0]
        Predicted(name='cat', probability=0.5, is_decided=True)
        """
        shares = self.probabilities(logits[None])[0]
        first = np.argsort(-logits, kind="stable").tolist()
        return tuple(Predicted(classes[one], float(shares[one]), place == 0) for place, one in enumerate(first))


SINGLE_LABEL = SingleLabel()

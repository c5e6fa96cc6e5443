"""The meaning of labels: the interface between the tasks and everything that trains, exports and evaluates.

A task defines the form of its labels, the loss that learns them, what a network decides by its logits, and how that is
scored. Nothing else in the package depends on whether an image has one class or several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.tasks.score_table import Alternatives
from sskt_edge.tasks.wilson import wilson_interval

if TYPE_CHECKING:
    from torch import Tensor

Logits = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


def task_named(name: str) -> Task:
    """The task that a recipe or a manifest names; see sskt_edge.catalogue.tasks.

    >>> task_named("multi_label").metric
    'mAP'
    """
    task: Task = TASKS[name].load()
    return task


class Agreement(NamedTuple):
    """How often two networks make the same decision.

    Attributes:
        images: the number of images that were compared.
        decisions: the number of decisions that were compared: one per image, or one per image and class.
        equal: the number of equal decisions; those of an image with a logit that is not finite do not count as equal.
        flips: the indices of the images with a different decision.
    """

    images: int
    decisions: int
    equal: int
    flips: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of equal decisions."""
        return self.equal / self.decisions

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval for the true share, if the images are a random sample: Wilson's score interval.

        It is based on the number of images, not of decisions, because those of one image are not independent. An
        image's own share is between 0 and 1, so it varies at most as much as a binary outcome, and the interval may be
        too wide but not too narrow.
        """
        return wilson_interval(self.share, self.images)


class Linear(NamedTuple):
    """A linear layer: logits = inputs · weights + bias.

    Attributes:
        weights: float32 [D,K].
        bias: float32 [K].
    """

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def zeros(cls, inputs: int, classes: int) -> Linear:
        """A layer that gives every class the same logit."""
        return cls(np.zeros((inputs, classes), dtype=np.float32), np.zeros(classes, dtype=np.float32))

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """[N,D] → float32 [N,K]."""
        return np.asarray(inputs @ self.weights + self.bias, dtype=np.float32)


class Drop(NamedTuple):
    """How much of the metric a file loses, on the same images as the trained network.

    Attributes:
        images: the number of images.
        value: the trained network's metric minus the file's, as a fraction of one.
        interval: the 95 % interval for the mean drop of other draws of as many images, if these are a random sample.
    """

    images: int
    value: float
    interval: tuple[float, float]


class Predicted(NamedTuple):
    """A class, its probability, and whether the network decides that the image has it."""

    name: str
    probability: float
    is_decided: bool


class Scores(Protocol):
    """The scores of a network's answers.

    Attributes:
        metric: the name of the metric.
        images: the number of images.
        not_finite: how many of them have a logit that is not finite.
        per_class: float64 [K], the figure of each class; NaN for a class without images.
    """

    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def images(self) -> int: ...  # noqa: D102
    @property
    def not_finite(self) -> int: ...  # noqa: D102
    @property
    def per_class(self) -> npt.NDArray[np.float64]: ...  # noqa: D102

    @property
    def value(self) -> float:
        """The task's metric, 0…1."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval for the true value, if the images are a random sample."""

    @property
    def further(self) -> Mapping[str, float]:
        """Other figures by name, 0…1."""

    def tables(self, classes: Sequence[str]) -> Alternatives:
        """The tables to show for each class."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""


def scores_as_json(scores: Scores) -> dict[str, Any]:
    """The values that all scores have, as plain values for JSON; NaN becomes None."""
    return {
        "metric": scores.metric,
        "images": scores.images,
        "value": scores.value,
        "interval": list(scores.interval),
        "further": dict(scores.further),
        "per_class": plain_figures(scores.per_class),
        "not_finite": scores.not_finite,
    }


def plain_figures(figures: npt.NDArray[np.float64]) -> list[float | None]:
    """A figure of each class for JSON; NaN becomes None."""
    return [None if np.isnan(one) else float(one) for one in figures]


class Task(Protocol):
    """A meaning of labels. It has no state.

    Throughout, N is the number of images and K the number of classes; logits are [N,K], and labels have the task's own
    shape.

    Attributes:
        name: its name in a recipe.
        metric: the name of the metric, which chooses checkpoints, has a budget, and is compared.
        one_class: whether an image has exactly one class.
        same: the column header for the share of decisions that equal the trained network's.
        agreeing: the end of a sentence that begins with "98 of 100", on images or decisions that agree with the trained
            network.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def one_class(self) -> bool: ...  # noqa: D102
    @property
    def same(self) -> str: ...  # noqa: D102
    @property
    def agreeing(self) -> str: ...  # noqa: D102

    def check(self, labels: Labels, classes: int) -> None:
        """Refuse an array that is not this task's labels of `classes` classes.

        Raises:
            DataError: the array has another shape, or a value that is not a label.
        """

    def from_classes(self, has: npt.NDArray[np.int8]) -> Labels:
        """The labels from int8 [N,K], for each image and class: 1 (has it), 0 (does not have it) or -1 (not known)."""

    def known(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which images have a label at all. Labels → bool [N]."""

    def unknown(self, images: int, classes: int) -> Labels:
        """The labels for unlabelled images."""

    def example(self, images: int, classes: int) -> Labels:
        """Example labels in which every class occurs if there are enough images, for a step that is only timed."""

    def named(self, labels: Labels, classes: Sequence[str]) -> list[str]:
        """The classes of each image in words, such as "cat" or "cat, dog"; "" for an image without a label."""

    def class_counts(self, labels: Labels, classes: int) -> npt.NDArray[np.int64]:
        """How many images have each class. Labels → int64 [K]."""

    def strata(self, labels: Labels) -> npt.NDArray[Any]:
        """The strata that a split and a budget keep even: int64 [N], one per image, or bool [N,S], several each."""

    def class_weights(self, labels: Labels, classes: int) -> npt.NDArray[np.float32]:
        """The weights that balance the frequencies of the classes. Labels → float32 [K]."""

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        class_weights: Tensor | None = None,
        image_weights: Tensor | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> Tensor:
        """The loss that training minimizes. Unknown labels are ignored.

        Args:
            logits: [N,K], float32.
            labels: the labels of the images, in the task's form.
            class_weights: [K], of the kind that `class_weights` returns.
            image_weights: [N], the weight of each image.
            reduction: the (weighted) mean over the images, or the sum.
        """

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The Kullback-Leibler divergence of each image's probabilities from a teacher's, both at a temperature.

        [N,K], [N,K] → [N], in nats; on the scale of `loss`, which averages over classes where an image has several.
        """

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The number of images that are answered completely right, as an integer scalar, shown during training."""

    def decisions(self, logits: Logits) -> npt.NDArray[np.integer[Any]]:
        """The decisions of a network; -1 for every decision on an image with a logit that is not finite."""

    def agreement(self, reference: Logits, other: Logits) -> Agreement:
        """How often `other` makes the same decision as `reference`. [N,K], [N,K] → Agreement."""

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        """The probability of each class. [N,K] → float64 [N,K]."""

    def value(self, logits: Logits, labels: Labels) -> float:
        """The metric alone, without its interval.

        Raises:
            DataError: as `scores`.
        """

    def chance(self, labels: Labels, classes: int) -> float:
        """The metric that answers which do not depend on the image can be expected to have, 0…1."""

    def fit_linear(self, inputs: npt.NDArray[np.float32], labels: Labels, start: Linear, strength: float) -> Linear:
        """Fit a linear layer by logistic regression. Images without a label must be left out before.

        Args:
            inputs: [N,D].
            labels: the labels of the N inputs, in the task's form.
            start: a layer to begin the search at.
            strength: C, the inverse of the L2 regularisation.
        """

    def sampling_error(self, value: float, images: int) -> float | None:
        """The standard error of a metric with `value` on `images` images; None if these two do not determine it."""

    def scores(self, logits: Logits, labels: Labels, classes: int) -> Scores:
        """The metric and further figures.

        Raises:
            DataError: shapes that do not fit, values that are not labels, no images, or none that defines the metric.
        """

    def drop(self, before: Logits, after: Logits, labels: Labels) -> Drop:
        """How much the metric drops from `before` to `after`.

        Raises:
            DataError: shapes that do not fit, values that are not labels, or no images.
        """

    def predicted(self, logits: Logits, classes: Sequence[str]) -> tuple[Predicted, ...]:
        """All classes of one image, the likeliest first. Finite logits [K]."""

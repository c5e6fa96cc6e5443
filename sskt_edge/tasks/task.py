"""What the labels of a data set mean: the seam between the tasks and everything that trains, exports and evaluates.

A task knows how its labels look, which loss learns them, what a network decides by its logits, and how right that is.
Nothing else in the package asks whether an image has one class or several.
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
    """How often a network decides as another one does.

    Attributes:
        images: how many were compared.
        decisions: how many were compared: one an image, or one an image and class.
        equal: how many of the decisions are the same; none of an image with a logit that is not finite.
        flips: the images, by place, with a decision that differs.
    """

    images: int
    decisions: int
    equal: int
    flips: tuple[int, ...]

    @property
    def share(self) -> float:
        """Of the decisions, those that are the same."""
        return self.equal / self.decisions

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies, with 95 %, if the images are a fair draw: Wilson's score interval.

        It counts images, not decisions: those of one image are not independent. An image's own share lies between 0 and
        1, so it varies at most as much as a yes or no does, and the interval is at most too wide.
        """
        return wilson_interval(self.share, self.images)


class Drop(NamedTuple):
    """What a file costs of the metric, by the same images that the trained network answered.

    Attributes:
        images: how many.
        value: the trained network's metric less the file's, as a share of one.
        interval: where the mean drop of other draws of as many images lies, with 95 %, if these are a fair draw.
    """

    images: int
    value: float
    interval: tuple[float, float]


class Predicted(NamedTuple):
    """A class, how likely it is, and whether the network decides that it is on the image."""

    name: str
    probability: float
    is_decided: bool


class Scores(Protocol):
    """How right the answers are.

    Attributes:
        metric: what the value is called.
        images: how many.
        not_finite: how many of them have a logit that is not finite.
        per_class: float64 [K], each class's own figure; NaN for a class without images.
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
        """Where the true value lies, with 95 %, if the images are a fair draw."""

    @property
    def further(self) -> Mapping[str, float]:
        """Other figures by their names, 0…1."""

    def tables(self, classes: Sequence[str]) -> Alternatives:
        """What there is to show for each class."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""


class Task(Protocol):
    """One meaning of labels. It has no state.

    Everywhere, N is the number of images and K that of classes; logits are [N,K], and labels have the task's own shape.

    Attributes:
        name: as the recipe spells it.
        metric: what the scores' value is called: it chooses checkpoints, has a budget, and is compared.
        one_class: whether an image has exactly one class.
        same: a column's head: the share of decisions that are those of the trained network.
        agreeing: the end of a sentence that begins with "98 of 100": which of the images or decisions are those of the
            trained network.
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
            DataError: another shape, or a value that is not a label.
        """

    def from_classes(self, has: npt.NDArray[np.int8]) -> Labels:
        """The labels from int8 [N,K], for each image and class 1 (has it), 0 (has it not) or -1 (not known)."""

    def known(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which images have a label at all. Labels → bool [N]."""

    def unknown(self, images: int, classes: int) -> Labels:
        """The labels of images that have none."""

    def example(self, images: int, classes: int) -> Labels:
        """Some labels in which every class occurs if there are enough images: for a step that is only measured."""

    def named(self, labels: Labels, classes: Sequence[str]) -> list[str]:
        """What each image shows, in words: "cat", "cat, dog"; "" for an image without a label."""

    def class_counts(self, labels: Labels, classes: int) -> npt.NDArray[np.int64]:
        """How many images have each class. Labels → int64 [K]."""

    def strata(self, labels: Labels) -> npt.NDArray[Any]:
        """What a split and a budget keep even: int64 [N], one stratum an image, or bool [N,S], several an image."""

    def class_weights(self, labels: Labels, classes: int) -> npt.NDArray[np.float32]:
        """The weights that even out how often classes occur. Labels → float32 [K]."""

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        class_weights: Tensor | None = None,
        image_weights: Tensor | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> Tensor:
        """What the training makes small. Labels without a value take no part.

        Args:
            logits: [N,K], float32.
            labels: of the images, as the task has them.
            class_weights: [K], of the kind that `class_weights` gives.
            image_weights: [N], how much each image counts.
            reduction: the (weighted) mean over the images, or the sum.
        """

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """How many images are answered right in full, as an integer scalar: the training's own figure."""

    def decisions(self, logits: Logits) -> npt.NDArray[np.integer[Any]]:
        """What a network decides; -1 for every decision on an image with a logit that is not finite."""

    def agreement(self, reference: Logits, other: Logits) -> Agreement:
        """How often `other` decides as `reference` does. [N,K], [N,K] → Agreement."""

    def probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        """How likely each class is. [N,K] → float64 [N,K]."""

    def value(self, logits: Logits, labels: Labels) -> float:
        """The metric alone, without its interval.

        Raises:
            DataError: as `scores`.
        """

    def sampling_error(self, value: float, images: int) -> float | None:
        """One standard error of a metric that was `value` on `images` images; None if these two do not tell it."""

    def scores(self, logits: Logits, labels: Labels, classes: int) -> Scores:
        """The metric and what else is worth knowing.

        Raises:
            DataError: shapes that do not fit, values that are not labels, no images, or none that defines the metric.
        """

    def drop(self, before: Logits, after: Logits, labels: Labels) -> Drop:
        """What `after` costs of the metric against `before`.

        Raises:
            DataError: shapes that do not fit, labels that are none, or no images.
        """

    def predicted(self, logits: Logits, classes: Sequence[str]) -> tuple[Predicted, ...]:
        """All classes of one image, the likeliest first. Finite logits [K]."""

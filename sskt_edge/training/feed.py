"""The data for every training step: views of labelled and unlabelled images, and the sources' soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.batches import epoch_batches, joining, steps_per_epoch, unlabelled_batches
from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.input import Input
from sskt_edge.sources.soft_labels import SoftLabels


@dataclass(frozen=True)
class Batch:
    """The data of one step.

    Attributes:
        images: uint8 [B+U,*shape], the labelled ones first.
        labels: the labels of the labelled images, in the task's form.
        weights: float32 [B], the weight of each labelled image; None if all have the same.
        soft: source → float32 [B+U,C].
    """

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    weights: NDArray[np.float32] | None
    soft: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Unlabelled:
    """Images that take part only in the losses that need no labels.

    Attributes:
        images: the M images.
        labels: their views and soft labels.
        ratio: the number of unlabelled images per labelled image of a batch.
    """

    images: ImageSet
    labels: SoftLabels
    ratio: float


Step = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]  # rows; unlabelled rows, and their passes


@dataclass(frozen=True)
class Feed:
    """The batches of every epoch. They are the same wherever a training is resumed.

    Attributes:
        images: the training images, in the target's size.
        labels: their views and soft labels.
        unlabelled: the unlabelled images, or None.
        input_kind: the kind of the items.
        size: the size of the target's input.
        batch_size: the approximate batch size; see epoch_batches.
        seed: the seed of the order.
    """

    images: ImageSet
    labels: SoftLabels
    unlabelled: Unlabelled | None
    input_kind: Input
    size: int
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return steps_per_epoch(len(self.images), self.batch_size)

    def epoch(self, epoch: int) -> Sequence[Step]:
        """The images of each batch of an epoch."""
        batches = epoch_batches(len(self.images), self.batch_size, self.seed, epoch)
        if self.unlabelled is None:
            none = np.empty(0, dtype=np.intp)
            return [(rows, none, none.astype(np.int64)) for rows in batches]
        per_batch = joining(len(self.images), self.batch_size, self.unlabelled.ratio)
        further = unlabelled_batches(len(self.unlabelled.images), per_batch, self.seed, epoch)
        return [(rows, *other) for rows, other in zip(batches, further, strict=True)]

    def batch(self, epoch: int, step: Step) -> Batch:
        """Cut the views of a step, and look up their soft labels."""
        rows, other_rows, passes = step
        views, soft = self.labels.of(np.full(len(rows), epoch), rows)
        images = self.input_kind.cut(self.images.resized[self.size], rows, views, self.size)
        if self.unlabelled is not None and len(other_rows):
            views, further = self.unlabelled.labels.of(passes, other_rows)
            others = self.input_kind.cut(self.unlabelled.images.resized[self.size], other_rows, views, self.size)
            images = np.concatenate([images, others])
            soft = {name: np.concatenate([logits, further[name]]) for name, logits in soft.items()}
        weights = None if self.images.weights is None else self.images.weights[rows]
        return Batch(images, self.images.labels[rows], weights, soft)

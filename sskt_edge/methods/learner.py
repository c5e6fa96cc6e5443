"""The seam of the methods: what the training loop asks of one. The loop knows no method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor, nn


class TaskLoss(Protocol):
    """What a learner needs of the task."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The task's loss, a mean over the batch. [B,K] logits, the labels of B images → scalar."""


class TaughtBy(NamedTuple):
    """A source, as a learner needs to know it.

    Attributes:
        classes: how many logits it gives.
        alpha: the weight that the recipe gives it; None: the method's own.
    """

    classes: int
    alpha: float | None = None


@dataclass(frozen=True)
class Outputs:
    """What a learner answers to a batch of B + U images, the U unlabelled ones last.

    Attributes:
        primary: logits of the target, [B+U,K].
        branches: source → logits of its branch, [B+U,C].
    """

    primary: Tensor
    branches: Mapping[str, Tensor] = field(default_factory=dict)


class Learner(nn.Module):
    """A target with whatever a method hangs on it for the length of the training.

    A method's entry in the catalogue names a function

        (options, primary, spec, sources) → Learner

    where `options` is the recipe's [method], `primary` the target, `spec` says where its stages are, and `sources` maps
    the name of each source that takes part to what it is. What it initialises at random, it draws from torch's
    generator, which is seeded before the call.

    Attributes:
        primary: the target, an untouched module.
        weights: each further term of the loss by its name → its weight in the total, in the order of a table's columns.
    """

    def __init__(self, primary: nn.Module, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.primary = primary
        self.weights = dict(weights)

    def forward(self, images: Tensor) -> Outputs:
        """[B+U,3,S,S] → logits."""
        return Outputs(self.primary(images))

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        """What is minimised, and of what it is made.

        Args:
            outputs: of B + U images.
            labels: of the first B.
            soft: source → its own logits for the same views, [B+U,C].
            task: what the labels mean.

        Returns:
            Scalars: "total", to be minimised; "primary", the task's loss; and each further term before its weight.
        """
        raise NotImplementedError

    def strip(self) -> nn.Module:
        """The primary network alone: the same module that was trained, with nothing of the method left."""
        return self.primary

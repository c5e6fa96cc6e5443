"""The interface between methods and the training loop. The loop does not know any specific method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor, nn


class TaskLoss(Protocol):
    """The part of the task that a learner needs."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The task's loss, a mean over the batch. [B,K] logits, the labels of B images → scalar."""

    def divergence(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The divergence of each image's probabilities from a teacher's; see `Task.divergence`. [N,K], [N,K] → [N]."""


class TaughtBy(NamedTuple):
    """The facts about a source that a learner needs.

    Attributes:
        classes: the number of its logits.
        alpha: its weight in the recipe; None means the method's own.
    """

    classes: int
    alpha: float | None = None


@dataclass(frozen=True)
class Outputs:
    """A learner's outputs for a batch of B + U images, the U unlabelled ones last.

    Attributes:
        primary: the target's logits, [B+U,K].
        branches: name → logits of a branch, [B+U,C]. In SSKT the names are those of the sources.
    """

    primary: Tensor
    branches: Mapping[str, Tensor] = field(default_factory=dict)


class Learner(nn.Module):
    """A target together with everything that a method attaches to it for the training.

    A method's entry in the catalogue names a function

        (options, primary, spec, sources) → Learner

    where `options` is the recipe's [method], `primary` is the target, `spec` says where its stages are, and `sources`
    maps the name of each participating source to its facts. Random initial values are drawn from torch's generator,
    which is seeded before the call.

    Attributes:
        primary: the target, an unmodified module.
        weights: name of each further loss term → its weight in the total, in the order of the table's columns.
    """

    def __init__(self, primary: nn.Module, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.primary = primary
        self.weights = dict(weights)

    def forward(self, images: Tensor) -> Outputs:
        """[B+U,3,S,S] → logits."""
        return Outputs(self.primary(images))

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        """The loss to be minimised, and its terms.

        Each term is a mean over images. For a mixed batch, the loop calls it once with the labels and soft labels of
        the images and once with those of the images that they are mixed with, and takes the weighted sum.

        Args:
            outputs: the outputs for B + U images.
            labels: the labels of the first B images.
            soft: source → its logits for the same views, [B+U,C].
            task: the task that says what the labels mean.

        Returns:
            Scalars: "total", to be minimised; "primary", the task's loss; and each further term before its weight.
        """
        raise NotImplementedError

    def strip(self) -> nn.Module:
        """The primary network alone: the same module that was trained, without any part of the method."""
        return self.primary

"""The losses of equations (1) to (5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Reduction = Literal["batchmean", "mean"]


class AuxiliaryLoss(NamedTuple):
    """One source's term in the total loss: α and how it is computed."""

    alpha: float
    kind: Literal["ce", "kd"]
    temperature: float
    kd_reduction: Reduction

    def __call__(self, branch: Tensor, source: Tensor) -> Tensor:
        """Not yet times α. [B,C] logits of the branch, [B,C] logits of the source → scalar."""
        if self.kind == "ce":
            return soft_cross_entropy(branch, source, self.temperature)
        return distillation(branch, source, self.temperature, self.kd_reduction)


def soft_cross_entropy(branch: Tensor, source: Tensor, temperature: float) -> Tensor:
    """T²·mean over the batch of -Σ softmax(source/T)·log softmax(branch/T). [B,C], [B,C] → scalar. Equation (2).

    T² keeps the size of the gradient when T changes (Hinton et al., 2015); the paper's code has it, its text does not.
    """
    return temperature**2 * F.cross_entropy(branch / temperature, torch.softmax(source / temperature, dim=1))


def distillation(branch: Tensor, source: Tensor, temperature: float, reduction: Reduction) -> Tensor:
    """T²·KL(softmax(source/T) ‖ softmax(branch/T)). [B,C], [B,C] → scalar. Equation (3).

    "batchmean" is the mean over the batch: the gradient is then that of soft_cross_entropy. "mean" divides by the
    number of classes too, as the published code does: for ImageNet a loss 1000 times weaker.
    """
    divergence = F.kl_div(
        F.log_softmax(branch / temperature, dim=1),
        F.log_softmax(source / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    if reduction == "mean":  # done here: torch warns that its own "mean" will come to be "batchmean"
        divergence = divergence / branch.shape[1]
    return temperature**2 * divergence


def total_loss(
    primary: Tensor,
    labels: Tensor,
    branches: Mapping[str, Tensor],
    sources: Mapping[str, Tensor],
    auxiliary: Mapping[str, AuxiliaryLoss],
) -> dict[str, Tensor]:
    """The cross-entropy of the task plus α times each source's loss. Equations (1) and (5).

    Args:
        primary: logits of the target, [B,K].
        labels: int64 [B].
        branches: source → logits of its branch, [B,C].
        sources: source → its own logits for the same views, [B,C].
        auxiliary: source → its loss.

    Returns:
        Scalars: "total", to be minimised; "primary"; and each source's loss by its name, before α.
    """
    terms = {"primary": F.cross_entropy(primary.float(), labels)}
    terms["total"] = terms["primary"]
    for name, loss in auxiliary.items():
        terms[name] = loss(branches[name].float(), sources[name])
        terms["total"] = terms["total"] + loss.alpha * terms[name]
    return terms

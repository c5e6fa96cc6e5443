"""The losses of equations (2) and (3)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sskt_edge.methods.sskt.options import BranchOptions

Reduction = Literal["batchmean", "mean"]


def auxiliary_loss(options: BranchOptions, branch: Tensor, source: Tensor) -> Tensor:
    """One source's term of the total loss, before α. Logits of the branch [B,C], of the source [B,C] → scalar."""
    if options.loss == "ce":
        return soft_cross_entropy(branch, source, options.temperature)
    return distillation(branch, source, options.temperature, options.kd_reduction)


def soft_cross_entropy(branch: Tensor, source: Tensor, temperature: float) -> Tensor:
    """T² times the mean over the batch of -Σ softmax(source/T)·log softmax(branch/T). [B,C], [B,C] → scalar.

    This is equation (2). T² keeps the size of the gradient when T changes (Hinton et al., 2015); the paper's code has
    it, its text does not.
    """
    return temperature**2 * F.cross_entropy(branch / temperature, torch.softmax(source / temperature, dim=1))


def distillation(branch: Tensor, source: Tensor, temperature: float, reduction: Reduction) -> Tensor:
    """T²·KL(softmax(source/T) ‖ softmax(branch/T)). [B,C], [B,C] → scalar. Equation (3).

    "batchmean" is the mean over the batch, whose gradient equals that of soft_cross_entropy. "mean" also divides by the
    number of classes, as the published code does: with ImageNet's classes the loss is 1000 times smaller.
    """
    divergence = F.kl_div(
        F.log_softmax(branch / temperature, dim=1),
        F.log_softmax(source / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    if reduction == "mean":  # done here, since torch warns that its own "mean" will become "batchmean"
        divergence = divergence / branch.shape[1]
    return temperature**2 * divergence

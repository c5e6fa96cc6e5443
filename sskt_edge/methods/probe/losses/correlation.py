"""DIST, distillation by correlation: Huang et al., 2022, arXiv:2205.10536, equations (6), (8) and (9)."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-8


def correlation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """One minus Pearson's correlation of each image's probabilities, plus the same of each class's over the batch.

    [N,K], [N,K] → scalar; both published weights are 1.
    """
    ours, theirs = (torch.softmax(one.float() / temperature, dim=1) for one in (logits, teacher))
    return _apart(ours, theirs) + _apart(ours.T, theirs.T)


def _apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """The mean over rows of one minus their correlation. [A,B], [A,B] → scalar."""
    ours, theirs = ours - ours.mean(dim=1, keepdim=True), theirs - theirs.mean(dim=1, keepdim=True)
    return 1 - torch.cosine_similarity(ours, theirs, dim=1, eps=_LEAST).mean()

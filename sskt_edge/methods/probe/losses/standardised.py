"""Logit standardisation: Sun et al., 2024, arXiv:2403.01427, algorithm 1."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_LEAST = 1e-7


def standardised(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL of the softmax of logits with mean 0 and deviation 1 in every row, at T. [N,K], [N,K] → [N].

    The target then learns the order and the relations of the classes, and is free in the size of its logits.
    """
    ours, theirs = (F.log_softmax(_standard(one.float()) / temperature, dim=1) for one in (logits, teacher))
    return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=1)


def _standard(logits: Tensor) -> Tensor:
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (centred.std(dim=1, keepdim=True, correction=0) + _LEAST)

"""DKD, decoupled knowledge distillation: Zhao et al., 2022, arXiv:2203.08679, equation (7)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# The published weights of the two parts.
TARGET_CLASS, OTHER_CLASSES = 1.0, 8.0


def decoupled(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL of the first class against all others, plus 8 times KL among the others. [N,K], [N,K] → [N].

    The first class is the teacher's, since unlabelled images have no other. With two classes the second part is 0.
    """
    ours, theirs = logits.float() / temperature, teacher.float() / temperature
    first = F.one_hot(theirs.argmax(dim=1), theirs.shape[1]).bool()
    pairs = [_first_and_rest(F.log_softmax(one, dim=1), first) for one in (ours, theirs)]
    among = [F.log_softmax(one.masked_fill(first, -torch.inf), dim=1).masked_fill(first, 0.0) for one in (ours, theirs)]
    others = (among[1].exp() * (among[1] - among[0])).masked_fill(first, 0.0).sum(dim=1)
    return TARGET_CLASS * (pairs[1].exp() * (pairs[1] - pairs[0])).sum(dim=1) + OTHER_CLASSES * others


def _first_and_rest(log_shares: Tensor, first: Tensor) -> Tensor:
    """The logarithms of the probability of the first class and of all others together. [N,K], [N,K] → [N,2]."""
    one = log_shares.masked_fill(~first, -torch.inf).logsumexp(dim=1)
    rest = log_shares.masked_fill(first, -torch.inf).logsumexp(dim=1)
    return torch.stack([one, rest], dim=1)

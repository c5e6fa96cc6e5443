"""Softmax via its logarithm, in float64: logits as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Logarithms of the probabilities, NaN if a logit is not finite. [N,C] → float64 [N,C]."""
    with np.errstate(invalid="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def log_sum_exp(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Log Σ exp over the classes. [N,C] → float64 [N,1]."""
    largest = logits.max(axis=1, keepdims=True).astype(np.float64)
    result: NDArray[np.float64] = largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return result

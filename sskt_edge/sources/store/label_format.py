"""The format of stored logits: all of them as float16, or the k largest and the mass of the others."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import NetworkError
from sskt_edge.tasks.softmax import log_softmax, log_sum_exp

Arrays = dict[str, NDArray[Any]]
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class LabelFormat:
    """The format of the logits of one collection.

    Attributes:
        classes: C, the number of classes.
        top_k: how many of the largest logits are kept, less than C; 0 keeps all.
    """

    classes: int
    top_k: int = 0

    @classmethod
    def of(cls, classes: int, top_k: int) -> LabelFormat:
        """The format that keeps `top_k` logits; 0, or at least the number of classes, keeps all."""
        return cls(classes, top_k if top_k < classes else 0)

    def layout(self, rows: int) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        """Name → dtype and shape, for the arrays of `rows` rows."""
        if not self.top_k:
            return {"logits": (np.dtype(np.float16), (rows, self.classes))}
        return {
            "values": (np.dtype(np.float16), (rows, self.top_k)),
            "places": (np.dtype(np.uint16 if self.classes <= 2**16 else np.int32), (rows, self.top_k)),
            "tail": (np.dtype(np.float32), (rows,)),
        }

    def pack(self, logits: NDArray[np.float32]) -> Arrays:
        """float32 [B,C] → the arrays of `layout(B)`. `tail` is the log-sum-exp of the logits that are left out.

        Raises:
            NetworkError: a logit is not finite, or too large for float16.
        """
        _check(logits, self.classes)
        if not self.top_k:
            return {"logits": logits.astype(np.float16)}
        order = np.argpartition(-logits, self.top_k - 1)
        places, others = order[:, : self.top_k], order[:, self.top_k :]
        return {
            "values": np.take_along_axis(logits, places, axis=1).astype(np.float16),
            "places": places.astype(self.layout(0)["places"][0]),
            "tail": log_sum_exp(np.take_along_axis(logits, others, axis=1))[:, 0].astype(np.float32),
        }

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The arrays of `layout(B)` → float32 [B,C].

        The omitted mass is spread evenly over its classes, so that the softmax at T = 1 preserves it.
        """
        if not self.top_k:
            return arrays["logits"].astype(np.float32)
        each = arrays["tail"] - np.float32(np.log(self.classes - self.top_k))
        logits = np.repeat(each[:, None], self.classes, axis=1)
        np.put_along_axis(logits, arrays["places"].astype(np.int64), arrays["values"].astype(np.float32), axis=1)
        return logits


def kl_of_top_k(logits: NDArray[np.float32], k: int, temperature: float) -> float:
    """The mean KL(softmax(logits/T), softmax(kept/T)) in nats when only k logits are kept. [N,C] → scalar.

    Raises:
        NetworkError: a logit is not finite, or too large for float16.
    """
    label_format = LabelFormat.of(logits.shape[1], k)
    kept_logits = label_format.unpack(label_format.pack(logits))
    whole, kept = (log_softmax(values / temperature) for values in (logits, kept_logits))
    return float((np.exp(whole) * (whole - kept)).sum(axis=1).mean())


def smallest_k(logits: NDArray[np.float32], temperature: float, limit: float) -> int:
    """The smallest k whose `kl_of_top_k` is within the limit; C if no smaller one is. [N,C] → k.

    The KL falls with every further logit that is kept, so that bisection finds it.
    """
    candidates = range(1, logits.shape[1])
    return 1 + bisect.bisect_left(candidates, True, key=lambda k: kl_of_top_k(logits, k, temperature) <= limit)


def _check(logits: NDArray[np.float32], classes: int) -> None:
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise NetworkError(f"A source's output is {list(logits.shape)}, expected [images,{classes}]: set its classes.")
    bad = logits[~(np.abs(logits) <= _LARGEST)]
    if len(bad):
        raise NetworkError(
            f"A source's logits cannot be kept: {len(bad)} of {logits.size} are not finite numbers within "
            f"±{_LARGEST:.0f}, such as {bad[0]}. Check its weights, mean and std, or set labels.precision = 'fp32'."
        )

"""Check whether two sessions agree, by their logits on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sskt_edge.common.errors import ParityError
from sskt_edge.tasks.task import Agreement, Logits, Task


@dataclass(frozen=True)
class Parity:
    """How much `other` differs from `reference`.

    Attributes:
        max_abs: the largest difference of a logit; inf if one is not finite.
        mean_abs: the mean difference of a logit; inf if one is not finite.
        agreement: how often their decisions are equal; those of an image with a logit that is not finite never are.
        scale: the largest absolute logit of the reference, or 1 if that is larger.
        not_finite: the number of images with a logit that is not finite, in either of the two.
    """

    max_abs: float
    mean_abs: float
    agreement: Agreement
    scale: float
    not_finite: int

    @property
    def images(self) -> int:
        """The number of images that were compared."""
        return self.agreement.images

    @property
    def difference(self) -> float:
        """The largest difference of a logit, as a share of `scale`: the fp32 tolerance that would pass."""
        return self.max_abs / self.scale

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        return {
            "images": self.images,
            "max_abs": self.max_abs,
            "mean_abs": self.mean_abs,
            "agreement": self.agreement.share,
            "agreement_interval": self.agreement.interval,
            "decisions": self.agreement.decisions,
            "flips": self.agreement.flips,
            "scale": self.scale,
            "not_finite": self.not_finite,
        }


def compare_logits(reference: Logits, other: Logits, task: Task) -> Parity:
    """Compare logits, in float64. [N,C], [N,C] → Parity.

    Args:
        reference: the logits to compare with.
        other: the logits to judge.
        task: the task, which derives decisions from them.

    Raises:
        ParityError: the shapes differ, or no images are given.
    """
    if reference.shape != other.shape or reference.ndim != 2 or reference.size == 0:
        raise ParityError(
            f"Got logits {list(other.shape)} to compare with {list(reference.shape)}; expected [N,C] twice."
        )
    finite = (np.isfinite(reference) & np.isfinite(other)).all(axis=1)
    whole = bool(finite.all())
    # Rows that are not finite are counted separately; here they would only give NaN.
    apart = np.abs(reference[finite].astype(np.float64) - other[finite].astype(np.float64))
    return Parity(
        max_abs=float(apart.max()) if whole else math.inf,
        mean_abs=float(apart.mean()) if whole else math.inf,
        agreement=task.agreement(reference, other),
        scale=float(max(1.0, np.abs(reference[finite].astype(np.float64)).max(initial=0.0))),
        not_finite=int((~finite).sum()),
    )

"""Do two sessions agree? Their logits on the same images, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sskt_edge.common.errors import ParityError
from sskt_edge.tasks.task import Agreement, Logits, Task


@dataclass(frozen=True)
class Parity:
    """How far `other` is from `reference`.

    Attributes:
        max_abs: the largest difference of a logit; inf if one is not finite.
        mean_abs: the mean difference of a logit; inf if one is not finite.
        agreement: how often they decide alike; none of an image with a logit that is not finite.
        scale: the largest logit of the reference in absolute value, or 1 if that is larger.
        not_finite: the images that have a logit that is not finite, on either side.
    """

    max_abs: float
    mean_abs: float
    agreement: Agreement
    scale: float
    not_finite: int

    @property
    def images(self) -> int:
        """How many images were compared."""
        return self.agreement.images

    @property
    def difference(self) -> float:
        """The largest difference of a logit, as a share of `scale`: the fp32 tolerance that would pass."""
        return self.max_abs / self.scale

    def as_json(self) -> dict[str, Any]:
        """What as_json makes JSON of."""
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
        reference: what is right.
        other: what is judged.
        task: what they decide.

    Raises:
        ParityError: shapes that differ, or no images.
    """
    if reference.shape != other.shape or reference.ndim != 2 or reference.size == 0:
        raise ParityError(
            f"Got logits {list(other.shape)} to compare with {list(reference.shape)}; expected [N,C] twice."
        )
    finite = (np.isfinite(reference) & np.isfinite(other)).all(axis=1)
    whole = bool(finite.all())
    # Rows that are not finite are counted apart; here they would only give NaN.
    apart = np.abs(reference[finite].astype(np.float64) - other[finite].astype(np.float64))
    return Parity(
        max_abs=float(apart.max()) if whole else math.inf,
        mean_abs=float(apart.mean()) if whole else math.inf,
        agreement=task.agreement(reference, other),
        scale=float(max(1.0, np.abs(reference[finite].astype(np.float64)).max(initial=0.0))),
        not_finite=int((~finite).sum()),
    )

"""Do two sessions agree? Their logits on the same images, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sskt_edge.common.errors import ParityError
from sskt_edge.tasks.metrics import Logits, predictions


@dataclass(frozen=True)
class Parity:
    """How far `other` is from `reference`.

    Attributes:
        images: how many images were compared.
        max_abs: the largest difference of a logit; inf if one is not finite.
        mean_abs: the mean difference of a logit; inf if one is not finite.
        top1_agreement: the share of images with the same first class; with a logit that is not finite, there is none.
        flips: the images, by place, whose first class differs.
        scale: the largest logit of the reference in absolute value, or 1 if that is larger.
        not_finite: the images that have a logit that is not finite, on either side.
    """

    images: int
    max_abs: float
    mean_abs: float
    top1_agreement: float
    flips: tuple[int, ...]
    scale: float
    not_finite: int

    @property
    def difference(self) -> float:
        """The largest difference of a logit, as a share of `scale`: the fp32 tolerance that would pass."""
        return self.max_abs / self.scale


def compare_logits(reference: Logits, other: Logits) -> Parity:
    """Compare logits, in float64. [N,C], [N,C] → Parity.

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
    same = (predictions(reference) == predictions(other)) & finite
    return Parity(
        images=len(reference),
        max_abs=float(apart.max()) if whole else math.inf,
        mean_abs=float(apart.mean()) if whole else math.inf,
        top1_agreement=float(same.mean()),
        flips=tuple(int(place) for place in np.flatnonzero(~same)),
        scale=float(max(1.0, np.abs(reference[finite].astype(np.float64)).max(initial=0.0))),
        not_finite=int((~finite).sum()),
    )

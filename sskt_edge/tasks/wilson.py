"""Wilson's score interval for the true value of a share."""

from __future__ import annotations

import math

Z = 1.959964
"""95 % of a normal distribution lie within this many standard deviations."""


def wilson_interval(share: float, images: int) -> tuple[float, float]:
    """The 95 % interval for the true share, if the images are a random sample.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).

    >>> low, high = wilson_interval(0.5, images=100)
    >>> f"{low:.3f} to {high:.3f}"
    '0.404 to 0.596'
    """
    z2 = Z**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = Z * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2)) / (1 + z2 / images)
    return max(0.0, centre - half), min(1.0, centre + half)

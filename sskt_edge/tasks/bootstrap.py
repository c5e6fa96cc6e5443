"""How much a figure would vary on other images of the same kind: its spread over draws of the images with replacement.

A resample contains some images several times, which makes a ranking look better than it is, the more so the more
classes have few positives. So only the spread of the resamples is used, and the interval is centred on the figure
itself (B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.3: the standard interval). It
is for the mean figure of other draws of the same size. AP itself falls as images are added: with few positives, it is
some points higher than on infinitely many images. benchmarks/results/map_interval.md shows how often the interval
contains each of the two.

The draws depend only on the number of images, so the same images always give the same interval, and two networks that
ran on the same images are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

_SEED = 0
_MOST, _FEWEST = 1000, 200  # resamples
_CELLS = 100_000_000  # approximate limit of resamples · images · classes; takes 0.6 s on one core
_AT_ONCE = 5_000_000  # cells of an array of weights: 20 MB
_Z = NormalDist().inv_cdf(0.975)


def resamples(images: int, classes: int) -> int:
    """The number of resamples to draw: 1000, or fewer if that takes long, but at least 200.

    >>> resamples(5_000, 20), resamples(40_000, 80)
    (1000, 200)
    """
    return min(_MOST, max(_FEWEST, _CELLS // max(1, images * classes)))


def resampled_weights(images: int, count: int) -> Iterator[npt.NDArray[np.float32]]:
    """Draw `count` resamples, in parts: float32 [N,B], how often each of B resamples contains each image.

    >>> [part.sum(axis=0).tolist() for part in resampled_weights(images=3, count=2)]
    [[3.0, 3.0]]
    """
    random = np.random.default_rng([_SEED, images])
    part = max(1, _AT_ONCE // images)
    for start in range(0, count, part):
        size = min(part, count - start)
        drawn = random.integers(images, size=(size, images)) + images * np.arange(size)[:, None]
        held = np.bincount(drawn.ravel(), minlength=size * images).reshape(size, images)
        yield np.ascontiguousarray(held.T, dtype=np.float32)


def standard_interval(estimate: float, values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of a figure: 1.96 standard deviations of its resamples to each side.

    Args:
        estimate: the figure on the original images.
        values: float64 [B], the figure on each resample; NaN if it is undefined there.

    Example:
        >>> [round(end, 3) for end in standard_interval(0.5, np.array([0.4, 0.6, np.nan]))]
        [0.304, 0.696]
    """
    values = values[~np.isnan(values)]
    half = _Z * float(values.std()) if len(values) else 0.0
    return estimate - half, estimate + half

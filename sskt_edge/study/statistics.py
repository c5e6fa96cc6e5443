"""Statistics of a metric over seeds: spreads, paired differences, exact tests, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05
FEWEST_PAIRS = 5
_EXACT_UP_TO = 16  # pairs, with 2^16 ways to flip signs; for more pairs, 2^16 flips are drawn


@dataclass(frozen=True)
class Spread:
    """The number, mean and standard deviation of values over seeds (with n - 1; None for a single value)."""

    n: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Paired:
    """Differences of pairs that share a seed.

    Attributes:
        n: the number of pairs.
        mean: the mean of the differences.
        interval: the 95 % confidence interval of the mean, by Student's t over pairs; None for a single pair.
        p_better: p of the one-sided sign-flip test that the mean is above 0.
        p_worse: p of the opposite test, that the mean is below 0.
    """

    n: int
    mean: float
    interval: tuple[float, float] | None
    p_better: float
    p_worse: float


def spread(values: Sequence[float]) -> Spread:
    """The mean and standard deviation of at least one value."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(len(values), float(np.mean(values)), sd)


def paired(differences: Sequence[float]) -> Paired:
    """Test at least one paired difference against 0.

    If the two arms were equal, every difference could equally well have the other sign: p is the share of all 2^n sign
    flips whose mean is at least as large as the observed one (exact up to 16 pairs; 65536 random flips for more).
    """
    mean, n = float(_mean(np.asarray(differences))), len(differences)
    if n == 1:
        return Paired(1, mean, None, 0.5 if mean > 0 else 1.0, 0.5 if mean < 0 else 1.0)
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(differences))
    return Paired(n, mean, (mean - half, mean + half), _p(differences), _p([-value for value in differences]))


def _p(differences: Sequence[float]) -> float:
    """Compute p of the one-sided sign-flip test that the mean is above 0."""
    answer = stats.permutation_test(
        (np.asarray(differences),),
        _mean,
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=2**_EXACT_UP_TO,
        random_state=np.random.default_rng(0),  # the same table from the same runs
    )
    return float(answer.pvalue)


def _mean(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """The mean, rounded so that sign flips with equal means compare as equal, whatever the order of summation.

    Unequal shares of at most a million images, and their means over hundreds of pairs, differ by more than that.
    """
    return np.asarray(np.mean(values, axis=axis)).round(12)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction, in the given order: the smallest p times m, the next times m - 1, …, never decreasing."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def verdict(n: int, mean: float, p_better: float, p_worse: float) -> str:
    """The verdict for n pairs with these corrected p: "better" and "worse" require significance."""
    if n < FEWEST_PAIRS:
        seen = "equal" if mean == 0 else "higher" if mean > 0 else "lower"
        return f"indicative: {seen}"
    if p_better <= LEVEL:
        return "better"
    return "worse" if p_worse <= LEVEL else "no difference shown"


def pairs_needed(arms: int) -> int:
    """The fewest pairs n with which the best of `arms` arms could pass: its smallest corrected p is 2^-n times arms."""
    return max(FEWEST_PAIRS, math.ceil(math.log2(arms / LEVEL)))

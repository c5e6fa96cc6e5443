"""Held against values by hand, against all flips of signs counted one by one, and against scipy's own routines."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from sskt_edge.study.statistics import holm, paired, pairs_needed, spread, verdict


def share_of_flips(differences: list[float]) -> float:
    """The sign-flip test by its definition: the share of all 2^n flips whose sum is at least the one seen."""
    flips = np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1
    return float(np.mean((1 - 2 * flips) @ np.array(differences) >= sum(differences) - 1e-12))


def test_a_spread_is_mean_and_deviation_with_one_degree_less() -> None:
    assert spread([1.0, 2.0, 3.0]) == (one := spread([3.0, 2.0, 1.0]))
    assert (one.n, one.mean, one.sd) == (3, 2.0, 1.0)
    assert spread([0.5]).sd is None


@pytest.mark.parametrize(
    "differences", [[1.0, 2.0, 3.0], [0.02, -0.01, 0.03, 0.005, 0.0], [-1.0, -2.0], [0.0, 0.0, 0.0], [0.3, 0.3, -0.3]]
)
def test_p_is_the_share_of_flips_that_are_as_good(differences: list[float]) -> None:
    found = paired(differences)
    assert found.p_better == pytest.approx(share_of_flips(differences), abs=1e-12)
    assert found.p_worse == pytest.approx(share_of_flips([-value for value in differences]), abs=1e-12)


@pytest.mark.parametrize(
    "wins", [[2, -2, 2, 0, -2], [1, -1], [-1, 1, -2, 3, 0, 3, 2, 1, -2], [3, 0, -3, -1, 3, 1, -1, -2]]
)
def test_flips_that_tie_in_images_tie_in_shares(wins: list[int]) -> None:
    """Shares of 736 images are not round numbers: their sums differ in the last bits where the images do not."""
    shares = [(450 + 7 * place + more) / 736 - (450 + 7 * place) / 736 for place, more in enumerate(wins)]
    found, exact = paired(shares), paired([float(more) for more in wins])
    assert (found.p_better, found.p_worse) == (exact.p_better, exact.p_worse)
    assert (found.mean == 0) == (sum(wins) == 0)


def test_five_wins_of_five_are_one_flip_in_thirty_two() -> None:
    assert paired([0.01, 0.02, 0.03, 0.01, 0.02]).p_better == 1 / 32


def test_the_interval_is_students() -> None:
    found = paired([1.0, 2.0, 3.0]).interval
    assert found is not None
    assert found == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-5)  # t(0.975; 2)
    test = stats.ttest_rel([1.5, 2.0, 4.0, 3.0], [1.0, 0.5, 2.5, 3.5]).confidence_interval(0.95)
    assert paired([0.5, 1.5, 1.5, -0.5]).interval == pytest.approx((test.low, test.high))


def test_one_pair_tells_nothing() -> None:
    found = paired([0.04])
    assert (found.n, found.mean, found.interval, found.p_better, found.p_worse) == (1, 0.04, None, 0.5, 1.0)


def test_many_pairs_give_nearly_the_same_and_always_the_same() -> None:
    differences = list(np.random.default_rng(0).normal(0.3, 1, 18))
    found = paired(differences)
    assert found == paired(differences)
    assert found.p_better == pytest.approx(share_of_flips(differences), abs=0.005)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04]) == [0.04]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("n", "mean", "p_better", "p_worse", "word"),
    [
        (5, 0.02, 1 / 32, 1.0, "better"),
        (5, -0.02, 1.0, 1 / 32, "worse"),
        (5, 0.02, 2 / 32, 0.97, "no difference shown"),
        (4, 0.02, 0.01, 1.0, "indicative: higher"),
        (4, -0.02, 1.0, 0.01, "indicative: lower"),
        (2, 0.0, 1.0, 1.0, "indicative: equal"),
    ],
)
def test_the_word_is_earned(n: int, mean: float, p_better: float, p_worse: float, word: str) -> None:
    assert verdict(n, mean, p_better, p_worse) == word


@pytest.mark.parametrize("n", [5, 6, 8])
def test_equal_arms_are_better_in_a_twentieth_of_studies_at_most(n: int) -> None:
    """Every way that the signs of the same differences could have fallen."""
    sizes = np.random.default_rng(n).uniform(0.5, 2, n)
    words = []
    for signs in itertools.product((1, -1), repeat=n):
        found = paired(list(sizes * signs))
        words.append(verdict(n, found.mean, found.p_better, found.p_worse))
    assert 0 < words.count("better") <= 0.05 * len(words)
    assert words.count("worse") == words.count("better")


@pytest.mark.parametrize("arms", [1, 2, 3, 4, 7])
def test_so_many_pairs_and_no_fewer_can_pass(arms: int) -> None:
    def passes(pairs: int) -> bool:
        best = paired([0.01] * pairs)
        (first, *_) = holm([best.p_better] * arms)
        return verdict(pairs, best.mean, first, best.p_worse) == "better"

    assert passes(pairs_needed(arms))
    assert not passes(pairs_needed(arms) - 1)

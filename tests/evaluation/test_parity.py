from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sskt_edge.common.errors import ParityError
from sskt_edge.common.json import as_json
from sskt_edge.evaluation.parity import Parity
from sskt_edge.evaluation.parity import compare_logits as compare_for
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Logits


def compare_logits(reference: Logits, other: Logits) -> Parity:
    return compare_for(reference, other, SINGLE_LABEL)


REFERENCE = np.array([[1, 2], [5, 4], [0, 3], [2, 1]], dtype=np.float32)


def test_the_values_are_those_worked_by_hand() -> None:
    other = REFERENCE + np.array([[0, 0.25], [-2, 0], [0, 0], [0, 0]], dtype=np.float32)
    parity = compare_logits(REFERENCE, other)
    assert (parity.images, parity.max_abs, parity.mean_abs) == (4, 2.0, 2.25 / 8)
    assert (parity.agreement.share, parity.agreement.flips, parity.not_finite) == (0.75, (1,), 0)


def test_equal_logits_agree() -> None:
    parity = compare_logits(REFERENCE, REFERENCE)
    assert (parity.difference, parity.agreement.share, parity.agreement.flips) == (0.0, 1.0, ())


def test_the_difference_is_a_share_of_the_largest_logit_or_of_one() -> None:
    assert (compare_logits(REFERENCE, REFERENCE + np.float32(0.125)).scale, REFERENCE.max()) == (5.0, 5.0)
    assert compare_logits(REFERENCE, REFERENCE + np.float32(0.125)).difference == 0.125 / 5
    assert compare_logits(-REFERENCE, np.float32(0.125) - REFERENCE).difference == 0.125 / 5
    assert compare_logits(REFERENCE / 10, REFERENCE / 10 + np.float32(0.125)).difference == pytest.approx(0.125)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", ["reference", "other", "both"])
def test_what_is_not_finite_fails_at_any_tolerance(bad: float, side: str) -> None:
    broken = REFERENCE.copy()
    broken[1, 0] = bad
    parity = compare_logits(
        broken if side in ("reference", "both") else REFERENCE, broken if side in ("other", "both") else REFERENCE
    )
    assert (parity.max_abs, parity.not_finite) == (math.inf, 1)
    assert (parity.agreement.flips, parity.agreement.share) == ((1,), 0.75)
    assert parity.difference == math.inf
    assert json.loads(json.dumps(as_json(parity), allow_nan=False))["max_abs"] is None


def test_the_difference_of_large_half_floats_does_not_overflow() -> None:
    large = np.array([[60000, -60000]], dtype=np.float16)
    assert compare_logits(large, -large).max_abs == 120000.0


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ParityError, match=r"Got logits \[4, 1\] to compare with \[4, 2\]"):
        compare_logits(REFERENCE, REFERENCE[:, :1])

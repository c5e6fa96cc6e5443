from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sskt_edge.errors import ParityError
from sskt_edge.runtime.parity import compare

REFERENCE = np.array([[1, 2], [5, 4], [0, 3], [2, 1]], dtype=np.float32)


def test_the_values_are_those_worked_by_hand() -> None:
    other = REFERENCE + np.array([[0, 0.25], [-2, 0], [0, 0], [0, 0]], dtype=np.float32)
    parity = compare(REFERENCE, other)
    assert (parity.images, parity.max_abs, parity.mean_abs) == (4, 2.0, 2.25 / 8)
    assert (parity.top1_agreement, parity.flips, parity.not_finite) == (0.75, (1,), 0)


def test_equal_logits_agree_at_any_tolerance() -> None:
    parity = compare(REFERENCE, REFERENCE)
    parity.check(0.0)
    assert parity.reasons(0.0) == [] and parity.top1_agreement == 1.0


def test_the_needed_tolerance_passes_and_less_does_not() -> None:
    parity = compare(REFERENCE, REFERENCE + np.float32(0.125))
    parity.check(parity.max_abs)
    with pytest.raises(
        ParityError, match=r"up to 0\.125, allowed is 0\.1 \(a tolerance of 0\.125 would pass\); 0 of 4"
    ):
        parity.check(0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", ["reference", "other", "both"])
def test_what_is_not_finite_fails_at_any_tolerance(bad: float, side: str) -> None:
    broken = REFERENCE.copy()
    broken[1, 0] = bad
    parity = compare(
        broken if side in ("reference", "both") else REFERENCE, broken if side in ("other", "both") else REFERENCE
    )
    assert (parity.max_abs, parity.not_finite, parity.flips, parity.top1_agreement) == (math.inf, 1, (1,), 0.75)
    with pytest.raises(ParityError, match="1 of 4 images have logits that are not finite"):
        parity.check(math.inf)
    assert json.loads(json.dumps(parity.as_json(), allow_nan=False))["max_abs"] is None


def test_the_difference_of_large_half_floats_does_not_overflow() -> None:
    large = np.array([[60000, -60000]], dtype=np.float16)
    assert compare(large, -large).max_abs == 120000.0


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ParityError, match=r"Got logits \[4, 1\] to compare with \[4, 2\]"):
        compare(REFERENCE, REFERENCE[:, :1])

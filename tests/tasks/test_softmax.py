"""The logarithm of softmax is torch's, whatever the size of the logits."""

from __future__ import annotations

import math

import numpy as np
import torch

from sskt_edge.tasks.softmax import log_softmax, log_sum_exp

LOGITS = np.random.default_rng(0).normal(0, 300, (20, 7)).astype(np.float32)


def test_log_softmax_is_torchs_in_float64() -> None:
    expected = torch.from_numpy(LOGITS).double()

    np.testing.assert_allclose(log_softmax(LOGITS), expected.log_softmax(1).numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_sum_exp(LOGITS), expected.logsumexp(1, keepdim=True).numpy(), rtol=1e-12)


def test_logits_that_differ_by_a_constant_are_the_same_probabilities() -> None:
    assert (log_softmax(np.array([[1e4, -1e4, 0]])) == log_softmax(np.array([[1e4, -1e4, 0]]) + 5)).all()


def test_logits_that_are_not_finite_give_no_number() -> None:
    assert np.isnan(log_softmax(np.array([[0.0, math.inf], [0.0, math.nan]]))).any(axis=1).all()

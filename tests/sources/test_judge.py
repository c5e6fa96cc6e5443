"""How far logits are from the reference's, and which findings of the past count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.fill_record import GateRecord
from sskt_edge.sources.judge import LogitsJudge, agreement, divergence


def test_kl_is_torchs() -> None:
    random = np.random.default_rng(0)
    reference = random.normal(0, 4, (20, 7)).astype(np.float32)
    logits = reference + random.normal(0, 1, (20, 7)).astype(np.float32)
    kl = divergence(reference, logits).mean()
    given, expected = torch.from_numpy(logits).log_softmax(1), torch.from_numpy(reference).log_softmax(1)
    assert kl == pytest.approx(F.kl_div(given, expected, reduction="batchmean", log_target=True).item(), rel=1e-4)


def test_agreement_forgives_only_a_class_that_the_reference_finds_likely() -> None:
    likely = np.log(np.array([0.5, 0.41, 0.09], dtype=np.float32))  # 0.41 / 0.5 is just above four fifths
    unlikely = np.log(np.array([0.5, 0.39, 0.11], dtype=np.float32))
    first, second, third = 10 * np.eye(3, dtype=np.float32)
    reference = np.stack([likely, likely, likely, unlikely, unlikely])
    assert agreement(reference, np.stack([first, second, second, first, first]), 0.8) == 1
    assert agreement(reference, np.stack([first, second, third, first, second]), 0.8) == 3 / 5
    assert agreement(reference, np.stack([first, second, third, first, second]), 1) == 2 / 5


def test_equal_logits_have_no_distance_however_large() -> None:
    logits = np.array([[1e4, -1e4, 0], [0, 0, 0]], dtype=np.float32)
    assert divergence(logits, logits + 5).tolist() == [0, 0]
    assert agreement(logits, logits + 5, 1) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_infinitely_far(value: float) -> None:
    logits = np.zeros((2, 3), dtype=np.float32)
    broken = logits.copy()
    broken[1, 2] = value
    assert divergence(logits, broken).tolist() == [0, math.inf]


@pytest.mark.parametrize(
    ("record", "accepted"),
    [
        (GateRecord(kl=0.003, agreement=0.98, near_tie=1), True),
        (GateRecord(kl=0.005, agreement=0.98, near_tie=1), False),
        (GateRecord(kl=0.003, agreement=0.96, near_tie=1), False),
        (GateRecord(kl=0.003, agreement=0.98, near_tie=0.8), False),
        (GateRecord(kl=0, agreement=1, near_tie=1, judge="probe", labelled="a"), False),
    ],
)
def test_a_finding_of_the_past_is_held_to_the_limits_of_now(record: GateRecord, accepted: bool) -> None:
    assert LogitsJudge(GateOptions()).accepts(record) == accepted


def test_findings_of_older_stores_are_about_logits() -> None:
    record = GateRecord.model_validate({"kl": 0.001, "same": 0.98, "agreement": 0.98, "near_tie": 1.0})
    assert record.judged_by in LogitsJudge().believes

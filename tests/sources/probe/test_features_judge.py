"""What a judge of features lets pass: vectors that point the same way, and a probe that decides the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.fill_record import GateRecord
from sskt_edge.sources.judge import LogitsJudge
from sskt_edge.sources.probe.choose_judge import judge_for_probe
from sskt_edge.sources.probe.features_judge import FeaturesJudge, mean_cosine
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.sources.probe.sets import image_set, logits_of, one_hot

LABELS = np.arange(60) % 3
IMAGES = image_set(LABELS)
ROWS = np.tile(np.arange(60), 3)
FEATURES = logits_of(3 * one_hot(LABELS, 3), 0.3).read(np.arange(180))


def judge(rows: NDArray[np.intp] = ROWS, **gate: float) -> FeaturesJudge:
    found = judge_for_probe(SINGLE_LABEL, IMAGES, "abc", rows, GateOptions.model_validate(gate), "features")
    assert isinstance(found, FeaturesJudge)
    return found


def noisy(size: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(size=FEATURES.shape)
    return np.asarray(FEATURES + size * noise, dtype=np.float32)


def test_equal_features_pass() -> None:
    distance = judge().against(FEATURES)(FEATURES.copy())
    assert (distance.kl, distance.agreement, distance.reasons) == (0, 1, ())
    assert distance.cosine == pytest.approx(1)


def test_features_that_point_elsewhere_are_refused() -> None:
    far = noisy(2.0)
    (reason,) = judge(probe_kl=1e9, probe_agreement=0).against(FEATURES)(far).reasons
    assert reason.startswith("cosine 0.9") and "at least 0.99 is required" in reason


def test_a_probe_that_decides_otherwise_refuses_though_the_cosine_is_high() -> None:
    distance = judge(cosine=0.5).against(FEATURES)(noisy(2.0))
    assert distance.reasons and not any("cosine" in reason for reason in distance.reasons)


def test_a_probe_sees_a_shift_that_a_softmax_does_not() -> None:
    """Logits that are all shifted are the same logits; features that are shifted are others."""
    shift = np.random.default_rng(0).normal(size=(180, 1))
    shifted = np.asarray(FEATURES + 40 * shift, dtype=np.float32)
    as_logits = judge_for_probe(SINGLE_LABEL, IMAGES, "abc", ROWS, GateOptions(), "logits")
    assert not as_logits.against(FEATURES)(shifted).reasons
    assert judge(cosine=-1).against(FEATURES)(shifted).reasons


def test_what_is_not_finite_is_refused() -> None:
    broken = FEATURES.copy()
    broken[3, 1] = np.nan
    assert judge().against(FEATURES)(broken).reasons
    assert judge().against(broken)(FEATURES).reasons


def test_the_cosine_alone_decides_if_no_probe_can_be_held_out() -> None:
    few = judge(np.resize(np.arange(4), 32))  # one image of two of the classes
    assert "judged by their features alone" in few.remark and few.by.labelled == ""
    reference = FEATURES[:32]
    assert not few.against(reference)(reference + np.float32(0.01)).reasons
    assert few.against(reference)(-reference).reasons


@pytest.mark.parametrize(
    ("record", "accepted"),
    [
        ({"cosine": 0.995}, True),
        ({"cosine": 0.98}, False),
        ({}, False),
        ({"cosine": 0.995, "agreement": 0.98}, False),
        ({"cosine": 0.995, "kl": 0.005}, False),
        ({"cosine": 0.995, "labelled": "others"}, False),
        ({"cosine": 0.995, "judge": "probe"}, False),
    ],
)
def test_a_finding_is_believed_again_only_for_the_same_question(record: dict[str, object], accepted: bool) -> None:
    asked = judge()
    kept = {"kl": 0.001, "agreement": 0.995, "judge": "features", "labelled": asked.by.labelled}
    assert asked.accepts(GateRecord.model_validate({**kept, **record})) == accepted


def test_findings_about_features_count_for_nobody_else() -> None:
    assert judge().by not in LogitsJudge().believes
    of_probe = judge_for_probe(SINGLE_LABEL, IMAGES, "abc", ROWS, GateOptions())
    assert judge().by not in of_probe.believes


def test_the_mean_cosine_is_that_of_the_rows() -> None:
    ours = np.array([[1, 0], [0, 2], [3, 3]], dtype=np.float32)
    theirs = np.array([[5, 0], [1, 0], [1, 0]], dtype=np.float32)
    assert mean_cosine(ours, theirs) == pytest.approx((1 + 0 + np.sqrt(0.5)) / 3)

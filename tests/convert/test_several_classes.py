"""What an export measures and searches by where images have several classes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.common.errors import ParityError
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.convert.int8_from_fp32 import TENSORRT
from sskt_edge.convert.int8_within_budget import Trial, int8_within_budget
from sskt_edge.convert.measure import measure
from sskt_edge.tasks.mean_ap import mean_ap_drop, ranking_scores
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.tolerances import Tolerances
from tests.convert.nets import (
    CLASSES,
    ORT,
    WIDTH,
    Net,
    calibrated,
    conv_weights,
    evaluation_set_of,
    logits_of,
    random_weights,
    trained,
)


@cache
def several(content: bytes, count: int = 60) -> EvaluationSet:
    """Pictures whose labels are what the network decides."""
    plain = evaluation_set_of(content, count)
    return replace(plain, labels=MULTI_LABEL.decisions(plain.logits), task=MULTI_LABEL)


def guessing() -> bytes:
    """A network of other weights."""
    net = Net()
    return net.head(net.conv("conv1", net.pixels, conv_weights(1, 3)), random_weights(5, CLASSES, WIDTH))


@pytest.mark.parametrize("whole", [True, False])
def test_a_record_has_the_map_and_the_share_of_decisions(whole: bool) -> None:
    judged = several(trained())
    found = measure({"fp32": trained(), "int8": guessing()}, judged, whole, (ORT,), Tolerances(), QUIET)
    (good,), (bad,) = found["fp32"].measured, found["int8"].measured
    assert (good.value, good.agreement, good.flips, good.reasons) == (1.0, 1.0, 0, [])
    answers = logits_of(guessing(), judged.images)
    scores, same = ranking_scores(answers, judged.labels), (answers > 0) == (judged.logits > 0)
    assert (bad.value, bad.interval) == (scores.value, scores.interval)
    assert (bad.agreement, bad.flips) == (same.mean(), (~same.all(axis=1)).sum())
    assert f"{same.sum()} of {same.size} decisions" in bad.reasons[0]
    of_map = [reason for reason in bad.reasons if reason.startswith("on 60 images mAP is")]
    assert bool(of_map) == whole
    if whole:
        drop = mean_ap_drop(judged.logits, answers, judged.labels)
        assert f"{100 * drop.value:.2f} points lower" in of_map[0]


@cache
def unsure() -> bytes:
    """A network each of whose logits is above 0 for half of some pictures: int8 changes some decisions."""

    def file(bias: npt.NDArray[np.float32]) -> bytes:
        net = Net()
        last = net.add("Relu", net.conv("conv1", net.pixels, conv_weights(1, 3)))
        last = net.add("Relu", net.conv("conv2", last, conv_weights(2)))
        return net.head(last, random_weights(3, CLASSES, WIDTH), bias)

    level = file(np.zeros(CLASSES, dtype=np.float32))
    return file(-np.median(evaluation_set_of(level, 200).logits, axis=0).astype(np.float32))


def search(judged: EvaluationSet, **limits: float) -> Trial:
    """The int8 file of the network that is unsure."""
    tolerances = Tolerances.model_validate(limits)
    return int8_within_budget(calibrated(unsure()), judged, TENSORRT, (ORT,), tolerances, QUIET)


def unlabelled(judged: EvaluationSet, rows: npt.NDArray[np.bool_]) -> EvaluationSet:
    return replace(judged, labels=np.where(rows[:, None], np.int8(-1), judged.labels))


def test_the_search_counts_the_drop_of_images_with_labels_alone() -> None:
    judged = several(unsure(), 200)
    trial = search(judged, int8_agreement=0, int8_metric_drop=1)
    answers = logits_of(trial.content, judged.images)
    assert trial.kept == () and trial.agreement == ((answers > 0) == (judged.logits > 0)).mean()
    assert trial.drop == mean_ap_drop(judged.logits, answers, judged.labels).value

    half = np.arange(200) % 2 == 0
    trial = search(unlabelled(judged, half), int8_agreement=0, int8_metric_drop=1)
    assert trial.drop == mean_ap_drop(judged.logits[~half], answers[~half], judged.labels[~half]).value
    assert search(unlabelled(judged, half | True), int8_agreement=0, int8_metric_drop=1).drop is None


def test_a_tighter_budget_keeps_layers_or_refuses() -> None:
    judged = several(unsure(), 200)
    loose = search(judged, int8_agreement=0, int8_metric_drop=1)
    assert loose.agreement < 1
    try:
        tight = search(judged, int8_agreement=1, int8_metric_drop=1)
    except ParityError as error:
        assert "decisions" in str(error)
    else:
        assert tight.kept or tight.agreement > loose.agreement

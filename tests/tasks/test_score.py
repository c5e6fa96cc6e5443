from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.tasks.older_score import score_from_older
from sskt_edge.tasks.score import Score, score_from
from sskt_edge.tasks.task import task_named
from sskt_edge.tasks.wilson import wilson_interval

GOOD: dict[str, Any] = {"metric": "mAP", "images": 10, "value": 0.5, "interval": [0.25, 0.75], "further": {"top5": 1}}


@pytest.mark.parametrize("name", TASKS)
def test_the_scores_of_every_task_are_kept_whole(name: str) -> None:
    task = task_named(name)
    logits = np.random.default_rng(0).standard_normal((40, 7)).astype(np.float32)
    found = task.scores(logits, task.example(40, 7), 7)
    score = score_from(found)
    assert Score.model_validate_json(score.model_dump_json()) == score
    assert (score.metric, score.images, score.value) == (task.metric, 40, task.value(logits, task.example(40, 7)))
    assert score.interval == found.interval and score.further == found.further != {}
    assert {"metric", "images", "value", "interval", "further", "per_class", "not_finite"} <= found.as_json().keys()


@pytest.mark.parametrize(
    "change",
    [
        {"value": 50},
        {"value": float("nan")},
        {"interval": [0.75, 0.25]},
        {"interval": [0.25]},
        {"interval": [-0.25, 0.5]},
        {"images": 0},
        {"metric": "\x1b[2J"},
        {"further": {"a\nb": 0.5}},
        {"top1": 0.5},
    ],
)
def test_what_is_not_a_score_is_refused(change: dict[str, Any]) -> None:
    assert Score.model_validate(GOOD).further == {"top5": 1.0}
    with pytest.raises(ValidationError):
        Score.model_validate({**GOOD, **change})


def test_an_older_accuracy_gets_wilsons_interval() -> None:
    score = Score.model_validate(score_from_older({"images": 50, "top1": 0.75, "top5": 0.875}))
    assert (score.metric, score.value, score.interval) == ("accuracy", 0.75, wilson_interval(0.75, 50))
    assert score.further == {"top5": 0.875}
    assert Score.model_validate(score_from_older({"images": 50, "top1": 0.75, "top5": None})).further == {}


@pytest.mark.parametrize(
    "older",
    [
        {"images": 50, "top1": "x", "top5": None},
        {"images": 0, "top1": 0.5},
        {"images": 5, "top1": 7},
        {"images": 5},
        [],
    ],
)
def test_what_is_wrong_in_an_older_accuracy_stays_wrong(older: Any) -> None:
    with pytest.raises(ValidationError):
        Score.model_validate(score_from_older(older))

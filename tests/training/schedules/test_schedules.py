"""Learning rates worked out by hand."""

from __future__ import annotations

import pytest

from sskt_edge.recipe.optimization import Cosine, ScheduleOptions, Steps
from sskt_edge.training.schedules.schedule import Place, ScheduleState, build_schedule


def rate_at(options: ScheduleOptions, base: float, place: Place) -> float:
    return build_schedule(options, base).rate(place, ScheduleState())


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (59 * 40 + 39, 0.1), (60 * 40, 0.02), (120 * 40, 0.004), (160 * 40, 0.0008), (200 * 40 - 1, 0.0008)],
)
def test_steps_follow_table_1_of_the_paper(step: int, rate: float) -> None:
    schedule = Steps(name="steps", milestones=(60, 120, 160, 200), gamma=0.2)
    assert rate_at(schedule, 0.1, Place(step, 40, 200)) == pytest.approx(rate)


@pytest.mark.parametrize(("step", "rate"), [(0, 1.0), (50, 0.5), (25, 0.853553390593), (99, 0.00024671981713)])
def test_cosine_goes_from_the_rate_to_nothing(step: int, rate: float) -> None:
    assert rate_at(Cosine(), 1.0, Place(step, 10, 10)) == pytest.approx(rate)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.05), (19, 1.0), (20, 1.0), (60, 0.5)])
def test_a_warm_up_rises_evenly_and_the_cosine_follows(step: int, rate: float) -> None:
    assert rate_at(Cosine(warmup_epochs=2), 1.0, Place(step, 10, 10)) == pytest.approx(rate)


def test_a_warm_up_as_long_as_the_training_is_no_error() -> None:
    assert rate_at(Cosine(warmup_epochs=50), 1.0, Place(99, 10, 10)) == pytest.approx(1.0)

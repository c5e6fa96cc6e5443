"""What a plan promises, by a clock that moves only when something is called: nothing here waits."""

from __future__ import annotations

import math

import pytest

from sskt_edge.common.errors import InputError
from sskt_edge.evaluation.bench_plan import Group, Job, Plan, carry_out, plan
from sskt_edge.evaluation.effort import DEFAULT, PUBLISHABLE, Effort, Exactly, Within, effort_of
from sskt_edge.evaluation.timing import Contender
from tests.evaluation.test_timing import Watch

BATCHES = (1, 8, 64)
# Seconds of one image, by session: a small network, a large one, a mixture with a slow library.
SMALL = {"a": 0.0002, "b": 0.0005, "c": 0.003}
LARGE = {"a": 0.08, "b": 0.1}
MIXED = {"a": 0.0002, "b": 0.05, "c": 0.001, "d": 0.002, "e": 0.004, "f": 0.1}


def groups_of(watch: Watch, costs: dict[str, float], batches: tuple[int, ...] = BATCHES) -> list[Group]:
    return [
        Group(
            f"batch {batch}",
            [Job(name, batch, Contender(watch.task(f"{name} {batch}", cost * batch))) for name, cost in costs.items()],
        )
        for batch in batches
    ]


def measured(watch: Watch, groups: list[Group], effort: Effort) -> Plan:
    planned = plan(groups, effort, clock=watch)
    carry_out(planned, clock=watch)
    return planned


def runs(groups: list[Group]) -> dict[str, int]:
    return {job.label: len(job.contender.seconds) for group in groups for job in group.jobs}


@pytest.mark.parametrize("seconds", [0.5, 5.0, 45.0])
@pytest.mark.parametrize("costs", [SMALL, LARGE, MIXED], ids=["small", "large", "mixed"])
def test_what_is_planned_and_what_is_done_take_no_longer_than_asked(costs: dict[str, float], seconds: float) -> None:
    watch = Watch()
    groups = groups_of(watch, costs)

    planned = plan(groups, Within(seconds), clock=watch)
    tried = watch.now
    assert tried + planned.total <= seconds + 1e-6

    carry_out(planned, clock=watch)
    assert watch.now <= seconds + 1e-6
    assert watch.now - tried == pytest.approx(planned.total, rel=1e-3)
    counted = runs(groups)
    assert all((counted[label] == 0) == (label in planned.left_out) for label in counted)


def test_the_time_that_was_asked_for_is_used() -> None:
    watch = Watch()
    measured(watch, groups_of(watch, SMALL), DEFAULT)
    assert watch.now > 0.9 * DEFAULT.seconds


def test_jobs_have_equal_time_and_a_slow_one_fewer_runs() -> None:
    watch = Watch()
    groups = groups_of(watch, LARGE)

    planned = measured(watch, groups, Within(60.0))

    counted = runs(groups)
    assert planned.left_out == {}
    assert counted["a, batch 1"] > 20
    assert 1 <= counted["b, batch 64"] <= 3
    assert planned.seconds["a, batch 1"] == pytest.approx(planned.seconds["b, batch 1"], rel=0.1)


def test_a_batch_that_does_not_fit_is_left_out_before_it_has_run_once() -> None:
    watch = Watch()
    groups = groups_of(watch, {"a": 1.0})

    planned = measured(watch, groups, DEFAULT)

    assert list(planned.left_out) == ["a, batch 64"]
    assert "about 64 s" in planned.left_out["a, batch 64"]
    assert "a 64" not in watch.calls
    assert runs(groups)["a, batch 8"] >= 1


def test_a_machine_that_becomes_slower_ends_in_time_too() -> None:
    watch = Watch()
    groups = groups_of(watch, SMALL)
    planned = plan(groups, Within(45.0), clock=watch)

    carry_out(planned, clock=lambda: 3 * watch.now)

    assert 3 * watch.now <= 45.0 * 1.1
    assert min(runs(groups).values()) >= 1


@pytest.mark.parametrize("costs", [SMALL, LARGE, MIXED], ids=["small", "large", "mixed"])
@pytest.mark.parametrize("number", [1, 7, 1000])
def test_a_number_of_runs_gives_exactly_that_many(number: int, costs: dict[str, float]) -> None:
    watch = Watch()
    groups = groups_of(watch, costs)

    planned = plan(groups, Exactly(number), clock=watch)
    tried = watch.now
    carry_out(planned, clock=watch)

    assert set(runs(groups).values()) == {number}
    assert watch.now - tried == pytest.approx(planned.total)


@pytest.mark.parametrize("costs", [{"a": 0.004, "b": 0.01}, LARGE], ids=["small", "large"])
def test_the_publishable_form_has_the_minimums_of_both_scenarios(costs: dict[str, float]) -> None:
    watch = Watch()
    groups = groups_of(watch, costs)

    planned = plan(groups, PUBLISHABLE, clock=watch)
    tried = watch.now
    carry_out(planned, clock=watch)

    for label, count in runs(groups).items():
        name, batch = label.split(", batch ")
        least = 1024 if batch == "1" else math.ceil(24576 / int(batch))
        assert count >= least
        assert count * costs[name] * int(batch) >= 60 - 1e-6
    assert watch.now - tried == pytest.approx(planned.total, rel=0.1)


def test_a_time_that_fits_no_run_is_an_error_that_says_how_long_one_takes() -> None:
    watch = Watch()
    with pytest.raises(InputError, match=r"20 s here.*--runs"):
        plan(groups_of(watch, {"a": 20.0}), Within(10.0), clock=watch)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_no_time_is_an_error(seconds: float) -> None:
    with pytest.raises(InputError, match="expected more than 0"):
        Within(seconds)


def test_no_run_is_an_error() -> None:
    with pytest.raises(InputError, match="expected 1 or more"):
        Exactly(0)


def test_an_effort_is_said_in_one_way() -> None:
    assert effort_of(None, None, False) == DEFAULT
    assert effort_of(None, 3, False) == Exactly(3)
    assert effort_of(2.0, None, False) == Within(2.0)
    assert effort_of(None, None, True) == PUBLISHABLE
    with pytest.raises(InputError, match="one of them"):
        effort_of(2.0, None, True)


def test_a_time_that_is_over_before_the_first_trial_is_an_error() -> None:
    watch = Watch()

    def clock() -> float:
        watch.now += 0.03
        return watch.now

    with pytest.raises(InputError, match=r"0\.05 s is too short.*--runs"):
        plan(groups_of(watch, SMALL), Within(0.05), clock=clock)

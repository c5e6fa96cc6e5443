from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from sskt_edge.common.json import as_json
from sskt_edge.evaluation.timing import (
    SETTLE,
    TURN,
    Budget,
    Contender,
    Turns,
    repeat,
    take_turns,
    timing_from_seconds,
)
from tests.common.test_progress import Count

DEFAULT_BUDGET = Budget(seconds=3.0, calls=200)
TURNS = Turns(SETTLE, TURN, DEFAULT_BUDGET)
ONCE = Turns(Budget(0.0, 0), TURN, Budget(0.0, 1))


class Watch:
    """A clock that moves only when something is called, and records the calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def task(self, name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            self.calls.append(name)
            self.now += seconds

        return call

    def blocks(self) -> list[str]:
        """Who was called, those that followed themselves once."""
        return [name for name, before in zip(self.calls, ["", *self.calls], strict=False) if name != before]


def test_percentiles_are_numpys() -> None:
    seconds = np.random.default_rng(0).exponential(size=257).tolist()

    timing = timing_from_seconds(seconds)

    assert (timing.p50, timing.p90, timing.p99) == tuple(np.percentile(seconds, [50, 90, 99]))
    assert timing.n == 257
    assert timing.mean == pytest.approx(sum(seconds) / 257)


def test_json_has_milliseconds() -> None:
    timing = timing_from_seconds([number / 1000 for number in range(1, 102)])

    assert as_json(timing) == pytest.approx({"n": 101, "mean_ms": 51, "p50_ms": 51, "p90_ms": 91, "p99_ms": 100})


@pytest.mark.parametrize(("n", "has"), [(1, ()), (9, ()), (10, ("p90",)), (99, ("p90",)), (100, ("p90", "p99"))])
def test_a_percentile_is_given_where_so_many_calls_support_it(n: int, has: tuple[str, ...]) -> None:
    timing = timing_from_seconds([0.01] * n)

    assert tuple(name for name in ("p90", "p99") if getattr(timing, name) is not None) == has
    assert [as_json(timing)[f"{name}_ms"] is None for name in ("p90", "p99")] == [
        name not in has for name in ("p90", "p99")
    ]


@pytest.mark.parametrize(("cost", "calls"), [(1 / 1024, 1024), (1 / 4, 20), (2.0, 20)])
def test_repeating_goes_on_until_both_are_enough(cost: float, calls: int) -> None:
    watch = Watch()

    assert repeat(watch.task("a", cost), Budget(1.0, 20), watch) == [cost] * calls


@pytest.mark.parametrize("cost", [0.0005, 0.5])
def test_every_side_has_enough_calls_and_enough_time(cost: float) -> None:
    watch = Watch()
    contenders = [Contender(watch.task("quick", cost)), Contender(watch.task("slow", 3 * cost))]

    take_turns(contenders, [TURNS] * len(contenders), clock=watch)

    for contender, its_cost in zip(contenders, (cost, 3 * cost), strict=True):
        assert len(contender.seconds) >= DEFAULT_BUDGET.calls
        assert sum(contender.seconds) >= DEFAULT_BUDGET.seconds - 1e-9
        assert np.allclose(contender.seconds, its_cost)


def test_sides_take_turns_and_each_round_another_begins() -> None:
    watch = Watch()
    contenders = [Contender(watch.task(name, 0.01)) for name in "abc"]

    take_turns(contenders, [TURNS] * len(contenders), clock=watch)

    # The contender that ends a round and begins the next stands there once.
    assert "".join(watch.blocks()[:9]) == "abc" + "bca" + "cab"
    assert len({len(contender.turns) for contender in contenders}) == 1
    assert len(contenders[0].turns) == pytest.approx(DEFAULT_BUDGET.seconds / TURN.seconds, abs=1)


def test_a_turn_begins_with_calls_that_do_not_count() -> None:
    watch = Watch()
    contenders = [Contender(watch.task(name, 1 / 64)) for name in "ab"]

    take_turns(contenders, [TURNS] * len(contenders), clock=watch)

    settle = np.ceil(SETTLE.seconds * 64)
    for name, contender in zip("ab", contenders, strict=True):
        assert watch.calls.count(name) == len(contender.seconds) + settle * len(contender.turns)


def test_a_side_alone_settles_once() -> None:
    watch = Watch()
    contender = Contender(watch.task("a", 1 / 64))

    take_turns([contender], [TURNS], clock=watch)

    assert len(watch.calls) == len(contender.seconds) + np.ceil(SETTLE.seconds * 64)


def test_a_side_hears_after_each_turn_how_many_calls_counted() -> None:
    watch = Watch()
    heard: list[int] = []
    contender = Contender(watch.task("a", 1 / 64), heard.append)

    take_turns([contender], [TURNS], clock=watch)

    assert sum(heard) == len(contender.seconds)
    assert len(heard) == len(contender.turns)


def test_the_median_of_each_turn_shows_a_machine_that_slows_down() -> None:
    watch = Watch()
    costs = iter([1.0] * (SETTLE.calls + TURN.calls) + [2.0] * TURN.calls)

    def call() -> None:
        watch.now += next(costs)

    contender = Contender(call)

    take_turns(
        [contender], [TURNS._replace(turn=Budget(0.0, TURN.calls), budget=Budget(0.0, 2 * TURN.calls))], clock=watch
    )

    assert contender.turns == [1.0, 2.0]


def test_garbage_is_not_collected_meanwhile_but_again_afterwards() -> None:
    seen: list[bool] = []
    take_turns([Contender(lambda: seen.append(gc.isenabled()))], [ONCE])
    assert seen and not any(seen)
    assert gc.isenabled()


def test_garbage_is_collected_again_after_an_error() -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_turns([Contender(fail)], [ONCE])
    assert gc.isenabled()


def test_a_side_has_exactly_as_many_calls_as_are_enough() -> None:
    watch = Watch()
    contenders = [Contender(watch.task(name, cost)) for name, cost in (("quick", 0.01), ("slow", 0.7))]
    turns = Turns(SETTLE, Budget(0.0, 5), Budget(0.0, 12))

    take_turns(contenders, [turns, turns._replace(budget=Budget(0.0, 3))], clock=watch)

    assert [len(contender.seconds) for contender in contenders] == [12, 3]
    assert [len(contender.turns) for contender in contenders] == [3, 1]


def test_no_turn_begins_that_would_end_after_the_deadline() -> None:
    watch = Watch()
    contenders = [Contender(watch.task(name, 0.5)) for name in "ab"]

    take_turns(contenders, [Turns(Budget(0.0, 1), Budget(0.0, 3), Budget(0.0, 99))] * 2, deadline=9.0, clock=watch)

    assert [len(contender.seconds) for contender in contenders] == [6, 6]
    assert watch.now == 8.0


def test_the_bar_reaches_its_end() -> None:
    watch, count = Watch(), Count()
    contenders = [Contender(watch.task("a", 0.013)), Contender(watch.task("b", 0.4))]

    take_turns(contenders, [TURNS] * 2, what="x", progress=count, clock=watch)

    assert (count.total, count.done) == ({"x": 100}, 100)

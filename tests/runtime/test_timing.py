from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from sskt_edge.errors import InputError
from sskt_edge.runtime.timing import (
    ENOUGH,
    SETTLE,
    TURN,
    WARM_UP,
    Least,
    Side,
    repeat,
    take_turns,
    timing_from_seconds,
)
from tests.runtime.test_progress import Count


class Watch:
    """A clock that moves only when something is called, and remembers who was."""

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

    assert timing.as_json() == pytest.approx({"n": 101, "mean_ms": 51, "p50_ms": 51, "p90_ms": 91, "p99_ms": 100})


@pytest.mark.parametrize(("cost", "calls"), [(1 / 1024, 1024), (1 / 4, 20), (2.0, 20)])
def test_repeating_goes_on_until_both_are_enough(cost: float, calls: int) -> None:
    watch = Watch()

    assert repeat(watch.task("a", cost), Least(1.0, 20), watch) == [cost] * calls


@pytest.mark.parametrize("cost", [0.0005, 0.5])
def test_every_side_has_enough_calls_and_enough_time(cost: float) -> None:
    watch = Watch()
    sides = [Side(watch.task("quick", cost)), Side(watch.task("slow", 3 * cost))]

    take_turns(sides, clock=watch)

    for side, its_cost in zip(sides, (cost, 3 * cost), strict=True):
        assert len(side.seconds) >= ENOUGH.calls
        assert sum(side.seconds) >= ENOUGH.seconds - 1e-9
        assert np.allclose(side.seconds, its_cost)


def test_sides_take_turns_and_each_round_another_begins() -> None:
    watch = Watch()
    sides = [Side(watch.task(name, 0.01)) for name in "abc"]

    take_turns(sides, clock=watch)

    # The warm-up, then three rounds; who ends one and begins the next stands there once.
    assert "".join(watch.blocks()[:12]) == "abc" + "abc" + "bca" + "cab"
    assert len({len(side.turns) for side in sides}) == 1
    assert len(sides[0].turns) == pytest.approx(ENOUGH.seconds / TURN.seconds, abs=1)


def test_a_turn_begins_with_calls_that_do_not_count() -> None:
    watch = Watch()
    sides = [Side(watch.task(name, 1 / 64)) for name in "ab"]

    take_turns(sides, clock=watch)

    warm_up, settle = WARM_UP.seconds * 64, np.ceil(SETTLE.seconds * 64)
    for name, side in zip("ab", sides, strict=True):
        assert watch.calls.count(name) == len(side.seconds) + warm_up + settle * len(side.turns)


def test_a_side_alone_only_warms_up() -> None:
    watch = Watch()
    side = Side(watch.task("a", 1 / 64))

    take_turns([side], clock=watch)

    assert len(watch.calls) == len(side.seconds) + WARM_UP.seconds * 64


def test_a_side_hears_after_each_turn_how_many_calls_counted() -> None:
    watch = Watch()
    heard: list[int] = []
    side = Side(watch.task("a", 1 / 64), heard.append)

    take_turns([side], clock=watch)

    assert sum(heard) == len(side.seconds)
    assert len(heard) == len(side.turns)


def test_the_median_of_each_turn_shows_a_machine_that_slows_down() -> None:
    watch = Watch()
    costs = iter([1.0] * (WARM_UP.calls + TURN.calls) + [2.0] * TURN.calls)

    def call() -> None:
        watch.now += next(costs)

    side = Side(call)

    take_turns([side], Least(0.0, 2 * TURN.calls), clock=watch)

    assert side.turns == [1.0, 2.0]


def test_garbage_is_not_collected_meanwhile_but_again_afterwards() -> None:
    seen: list[bool] = []
    take_turns([Side(lambda: seen.append(gc.isenabled()))], Least(0.0, 1))
    assert seen and not any(seen)
    assert gc.isenabled()


def test_garbage_is_collected_again_after_an_error() -> None:
    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_turns([Side(fail)], Least(0.0, 1))
    assert gc.isenabled()


def test_the_bar_reaches_its_end() -> None:
    watch, count = Watch(), Count()

    take_turns([Side(watch.task("a", 0.013)), Side(watch.task("b", 0.4))], what="x", progress=count, clock=watch)

    assert (count.total, count.done) == ({"x": 100}, 100)


@pytest.mark.parametrize("least", [Least(-1.0, 1), Least(float("nan"), 1), Least(float("inf"), 1), Least(1.0, 0)])
def test_nothing_is_enough_is_an_error(least: Least) -> None:
    with pytest.raises(InputError, match="expected 1 or more and 0 or more"):
        take_turns([Side(lambda: None)], least)

"""Time repeated calls, in turns if several contenders are compared, and summarize them in percentiles.

A turn consists of many calls of one contender: a library's idle threads go on spinning after a call, and on a machine
with two cores the next call of another library, or of another session of the same one, was measured to take up to four
times as long. So a turn begins with calls that are not counted, until those threads sleep.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sskt_edge.common.progress import QUIET, Bar, Progress

Clock = Callable[[], float]
_ROUNDING = 1e-9


class Budget(NamedTuple):
    """The least to measure: both limits must be reached.

    Attributes:
        seconds: the total time of the calls themselves.
        calls: the number of calls.
    """

    seconds: float
    calls: int


TURN = Budget(seconds=0.25, calls=5)
SETTLE = Budget(seconds=0.1, calls=1)
# A percentile needs at least one call beyond it: the slowest of 20 says nothing about 99 of 100.
_FEWEST_FOR_P90, _FEWEST_FOR_P99 = 10, 100


@dataclass(frozen=True)
class Timing:
    """The time of calls, in seconds.

    Attributes:
        n: the number of calls.
        mean: the mean over all calls.
        p50: the median.
        p90: nine of ten calls took at most this long; None for fewer than 10 calls.
        p99: 99 of 100 calls took at most this long; None for fewer than 100 calls.
    """

    n: int
    mean: float
    p50: float
    p90: float | None
    p99: float | None

    def as_json(self) -> dict[str, float | None]:
        """The values that are converted to JSON; times are in milliseconds."""
        times = {name: getattr(self, name) for name in ("mean", "p50", "p90", "p99")}
        return {"n": self.n, **{f"{name}_ms": None if it is None else it * 1e3 for name, it in times.items()}}


def timing_from_seconds(seconds: Sequence[float]) -> Timing:
    """The seconds of single calls → their mean and the percentiles that they support, interpolated linearly."""
    n, (p50, p90, p99) = len(seconds), np.percentile(seconds, [50, 90, 99])
    return Timing(
        n=n,
        mean=float(np.mean(seconds)),
        p50=float(p50),
        p90=float(p90) if n >= _FEWEST_FOR_P90 else None,
        p99=float(p99) if n >= _FEWEST_FOR_P99 else None,
    )


class Turns(NamedTuple):
    """How a contender is measured.

    Attributes:
        settle: the calls that do not count, at the start of each turn, or only of the first turn of a lone contender.
        turn: how long a turn is.
        budget: how much the contender needs in all; its last turn ends when that is reached.
    """

    settle: Budget
    turn: Budget
    budget: Budget


@dataclass
class Contender:
    """A participant that takes turns.

    Attributes:
        call: the function that is timed.
        after: called after each turn, while nothing is timed, with the number of its calls that count.
        seconds: the time of each call that counts.
        turns: the median of each turn; they differ on a busy machine, or on one that slows down when it is warm.
        total: the sum of `seconds`.
    """

    call: Callable[[], object]
    after: Callable[[int], object] | None = None
    seconds: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    total: float = 0.0


def repeat(call: Callable[[], object], budget: Budget, clock: Clock = time.perf_counter) -> list[float]:
    """Call repeatedly until the budget is met. Returns the seconds of each call."""
    seconds: list[float] = []
    total = 0.0
    while len(seconds) < budget.calls or total < budget.seconds:
        start = clock()
        call()
        took = clock() - start
        seconds.append(took)
        total += took
    return seconds


def take_turns(
    contenders: Sequence[Contender],
    turns: Sequence[Turns],
    *,
    deadline: float = math.inf,
    what: str = "timing",
    progress: Progress = QUIET,
    clock: Clock = time.perf_counter,
) -> None:
    """Let each contender have a turn, round after round, until all have met their budget.

    Each round begins with another contender. A lone contender settles only once, since nothing else runs in between.
    Garbage is collected before, but not during the measurement.

    Args:
        contenders: the contenders to time.
        turns: the turns of each contender.
        deadline: the time on the clock when to end: after its first turn, no contender begins a turn that would end
            later, judged by its last turn.
        what: the name of the bar.
        progress: draws the bar.
        clock: returns the time in seconds.
    """
    took = [0.0] * len(contenders)
    with progress.bar(what, 100) as bar, no_garbage_collection():
        rounds = done = 0
        while done < 100:
            for place in range(len(contenders)):
                number = (rounds + place) % len(contenders)
                contender, its = contenders[number], turns[number]
                if _share(contender, its.budget) == 1:
                    continue
                start = clock()
                if contender.turns and start + took[number] > deadline + _ROUNDING:
                    return
                if len(contenders) > 1 or not contender.turns:
                    repeat(contender.call, its.settle, clock)
                _turn(contender, its, clock)
                took[number] = clock() - start
            rounds += 1
            shares = [_share(one, its.budget) for one, its in zip(contenders, turns, strict=True)]
            done = _advance(bar, done, min(shares))


def _turn(contender: Contender, turns: Turns, clock: Clock) -> None:
    lacking = Budget(turns.budget.seconds - contender.total, turns.budget.calls - len(contender.seconds))
    of_turn = Budget(min(turns.turn.seconds, lacking.seconds), min(turns.turn.calls, lacking.calls))
    seconds = repeat(contender.call, of_turn, clock)
    contender.seconds += seconds
    contender.total += sum(seconds)
    contender.turns.append(float(np.median(seconds)))
    if contender.after is not None:
        contender.after(len(seconds))


def _share(contender: Contender, budget: Budget) -> float:
    """The share of its budget that a contender has used, 0…1."""
    of_seconds = contender.total / budget.seconds if budget.seconds else 1.0
    return min(len(contender.seconds) / budget.calls, of_seconds, 1.0)


def _advance(bar: Bar, done: int, share: float) -> int:
    """Advance a bar of 100 steps; return how many are done now."""
    now = int(share * 100)
    bar.advance(now - done)
    return now


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect garbage before the context, but not within it."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

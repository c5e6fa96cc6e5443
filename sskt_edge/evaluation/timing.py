"""How long calls take: repeated, in turns where several are compared, and summed up in percentiles.

A turn is many calls of one contender, not one: a library's idle threads go on spinning after a call, and on a machine
of two cores the next call of another library, or of another session of the same, was measured to take up to four times
as long. So a turn begins with calls that are not counted, until those threads sleep.
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
    """How much is enough: both of them.

    Attributes:
        seconds: of the calls themselves, together.
        calls: how many.
    """

    seconds: float
    calls: int


TURN = Budget(seconds=0.25, calls=5)
SETTLE = Budget(seconds=0.1, calls=1)
# A percentile needs at least one call beyond it: the slowest of 20 says nothing about 99 of 100.
_FEWEST_FOR_P90, _FEWEST_FOR_P99 = 10, 100


@dataclass(frozen=True)
class Timing:
    """What calls took, in seconds.

    Attributes:
        n: how many calls.
        mean: of all.
        p50: the median.
        p90: nine of ten took at most this long; None for fewer than 10 calls.
        p99: 99 of 100 took at most this long; None for fewer than 100 calls.
    """

    n: int
    mean: float
    p50: float
    p90: float | None
    p99: float | None

    def as_json(self) -> dict[str, float | None]:
        """What as_json makes JSON of; times in milliseconds."""
        times = {name: getattr(self, name) for name in ("mean", "p50", "p90", "p99")}
        return {"n": self.n, **{f"{name}_ms": None if it is None else it * 1e3 for name, it in times.items()}}


def timing_from_seconds(seconds: Sequence[float]) -> Timing:
    """The seconds of single calls → mean and the percentiles that they support, linear between neighbours."""
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
        settle: calls that do not count, at the start of each turn; of a contender alone, of its first turn.
        turn: when a turn ends.
        budget: when the contender has enough; its last turn ends there.
    """

    settle: Budget
    turn: Budget
    budget: Budget


@dataclass
class Contender:
    """One that takes turns.

    Attributes:
        call: what is timed.
        after: told after each turn, outside the clock, how many calls of it count.
        seconds: of each call that counts.
        turns: the median of each turn: apart on a machine that is busy, or that slows down when it is warm.
        total: the sum of `seconds`.
    """

    call: Callable[[], object]
    after: Callable[[int], object] | None = None
    seconds: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    total: float = 0.0


def repeat(call: Callable[[], object], budget: Budget, clock: Clock = time.perf_counter) -> list[float]:
    """Call again and again until it is enough. The seconds of each call."""
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
    """Let each contender have a turn, round after round, until all have enough.

    Each round another one begins. A contender alone settles once: nothing else ran in between. Python's garbage is
    collected before and not meanwhile.

    Args:
        contenders: what is timed.
        turns: of each contender.
        deadline: by the clock; after its first turn none begins one that would end later, by what the last one took.
        what: the bar's name.
        progress: draws the bar.
        clock: seconds.
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
    """How much of its budget a contender has had, 0…1."""
    of_seconds = contender.total / budget.seconds if budget.seconds else 1.0
    return min(len(contender.seconds) / budget.calls, of_seconds, 1.0)


def _advance(bar: Bar, done: int, share: float) -> int:
    """Move a bar of 100 steps; how many are done now."""
    now = int(share * 100)
    bar.advance(now - done)
    return now


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect Python's garbage before and not meanwhile."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

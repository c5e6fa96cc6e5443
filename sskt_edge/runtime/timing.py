"""How long calls take: repeated, in turns where several are compared, and summed up in percentiles.

A turn is many calls of one side, not one: a library's idle threads go on spinning after a call, and on a machine of two
cores the next call of another library, or of another session of the same, was measured to take up to four times as
long. So a turn begins with calls that are not counted, until those threads sleep.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sskt_edge.errors import InputError
from sskt_edge.runtime.progress import QUIET, Bar, Progress

Clock = Callable[[], float]


class Least(NamedTuple):
    """How much is enough: both of them.

    Attributes:
        seconds: of the calls themselves, together.
        calls: how many.
    """

    seconds: float
    calls: int


ENOUGH = Least(seconds=3.0, calls=200)
WARM_UP = Least(seconds=0.5, calls=10)
TURN = Least(seconds=0.25, calls=5)
SETTLE = Least(seconds=0.1, calls=1)


@dataclass(frozen=True)
class Timing:
    """What calls took, in seconds.

    Attributes:
        n: how many calls.
        mean: of all.
        p50: the median.
        p90: nine of ten were no slower.
        p99: 99 of 100 were no slower.
    """

    n: int
    mean: float
    p50: float
    p90: float
    p99: float

    def as_json(self) -> dict[str, float]:
        """Plain values for JSON, times in milliseconds."""
        times = {f"{name}_ms": getattr(self, name) * 1e3 for name in ("mean", "p50", "p90", "p99")}
        return {"n": self.n, **times}


def timing_from_seconds(seconds: Sequence[float]) -> Timing:
    """The seconds of single calls → mean and percentiles, linear between neighbours."""
    p50, p90, p99 = np.percentile(seconds, [50, 90, 99])
    return Timing(len(seconds), float(np.mean(seconds)), float(p50), float(p90), float(p99))


@dataclass
class Side:
    """One that takes turns.

    Attributes:
        call: what is timed.
        after: told after each turn, outside the clock, how many calls of it count.
        seconds: of each call that counts.
        turns: the median of each turn: apart on a machine that is busy, or that slows down when it is warm.
    """

    call: Callable[[], object]
    after: Callable[[int], object] | None = None
    seconds: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)


def repeat(call: Callable[[], object], least: Least, clock: Clock = time.perf_counter) -> list[float]:
    """Call again and again until it is enough. The seconds of each call."""
    seconds: list[float] = []
    total = 0.0
    while len(seconds) < least.calls or total < least.seconds:
        start = clock()
        call()
        took = clock() - start
        seconds.append(took)
        total += took
    return seconds


def take_turns(
    sides: Sequence[Side],
    least: Least = ENOUGH,
    *,
    what: str = "timing",
    progress: Progress = QUIET,
    clock: Clock = time.perf_counter,
) -> None:
    """Warm every side up, then let each have a turn, round after round, until all have enough.

    Each round another side begins. A side alone never settles: nobody ran in between. Python's garbage is collected
    before and not meanwhile.

    Raises:
        InputError: `least` asks for nothing.
    """
    if least.calls < 1 or not 0 <= least.seconds < float("inf"):
        raise InputError(f"Timing: got {least.calls} calls and {least.seconds} s, expected 1 or more and 0 or more.")
    # A warm-up is no longer than what it warms up for.
    warm_up = Least(min(WARM_UP.seconds, least.seconds), WARM_UP.calls)
    turn = Least(min(TURN.seconds, least.seconds), TURN.calls)
    with progress.bar(what, 100) as bar, _no_garbage_collection():
        for side in sides:
            repeat(side.call, warm_up, clock)
        rounds = done = 0
        while done < 100:
            for place in range(len(sides)):
                side = sides[(rounds + place) % len(sides)]
                if len(sides) > 1:
                    repeat(side.call, SETTLE, clock)
                _turn(side, turn, clock)
            rounds += 1
            done = _advance(bar, done, min(_share(side, least) for side in sides))


def _turn(side: Side, least: Least, clock: Clock) -> None:
    seconds = repeat(side.call, least, clock)
    side.seconds += seconds
    side.turns.append(float(np.median(seconds)))
    if side.after is not None:
        side.after(len(seconds))


def _share(side: Side, least: Least) -> float:
    """How much of what is enough a side has, 0…1."""
    of_seconds = sum(side.seconds) / least.seconds if least.seconds else 1.0
    return min(len(side.seconds) / least.calls, of_seconds, 1.0)


def _advance(bar: Bar, done: int, share: float) -> int:
    """Move a bar of 100 steps; how many are done now."""
    now = int(share * 100)
    bar.advance(now - done)
    return now


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

"""Sides that take turns, each in a separate process, so that a drift of the machine's speed affects all of them.

In a separate process, memory and threads are as in a program that does nothing else, and the memory peak can be read.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_MEMORY = "memory"


class Taken(NamedTuple):
    """What a side took.

    Attributes:
        seconds: of each round, the warm-up left out.
        gigabytes: its process's peak.
    """

    seconds: list[float]
    gigabytes: float

    @property
    def median(self) -> float:
        """Seconds."""
        return float(np.median(self.seconds))

    def over(self, other: Taken) -> str:
        """The median of the rounds' ratios to another side's, and its quartiles."""
        low, middle, high = np.percentile(np.array(self.seconds) / np.array(other.seconds), [25, 50, 75])
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def take_turns(
    module: str,
    told: Sequence[str],
    names: Sequence[str],
    rounds: int,
    *,
    warm_up: int = 3,
    starts: int = 1,
    together: bool = False,
) -> dict[str, Taken]:
    """Start `python -m module … --only NAME` for every side, and let each do a round in turn.

    All of it `starts` times, and the rounds put together: one process is up to 2 % faster than the next that does the
    same, by where its memory happens to lie. With `together` all sides are in one process (`--only A --only B …`),
    so that they share that luck; the peak is then that of all.
    """
    groups = [names] if together else [[name] for name in names]
    all_starts = [_one_start(module, told, groups, rounds, warm_up) for _ in range(starts)]
    return {
        name: Taken(
            [s for one in all_starts for s in one[name].seconds], max(one[name].gigabytes for one in all_starts)
        )
        for name in names
    }


def _one_start(
    module: str, told: Sequence[str], groups: Sequence[Sequence[str]], rounds: int, warm_up: int
) -> dict[str, Taken]:
    workers: dict[str, _Worker] = {}
    for group in groups:
        only = [word for name in group for word in ("--only", name)]
        workers |= dict.fromkeys(group, _Worker([sys.executable, "-m", module, *told, *only]))
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for turn in range(warm_up + rounds):
        for name, worker in workers.items():
            took = worker.ask(name)
            if turn >= warm_up:
                seconds[name].append(took)
    taken = {name: Taken(seconds[name], worker.ask(_MEMORY)) for name, worker in workers.items()}
    for worker in set(workers.values()):
        worker.end()
    return taken


def serve(sides: Mapping[str, Callable[[], object]]) -> None:
    """What such a process does when it is ready: a side's name in, the seconds of one round out."""
    for line in sys.stdin:
        asked = line.strip()
        if asked == _MEMORY:
            print(memory("VmHWM"), flush=True)
            continue
        start = time.perf_counter()
        sides[asked]()
        print(time.perf_counter() - start, flush=True)


def memory(field: str) -> float:
    """GB that this process has (VmRSS) or had at most (VmHWM). getrusage's peak would begin with the parent's."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) / 1e6


class _Worker:
    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(_MEMORY)  # is answered when all is ready

    def ask(self, what: str) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()

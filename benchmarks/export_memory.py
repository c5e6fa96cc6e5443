"""How much memory does an export take, and in which phase?

    python -m benchmarks.export_memory RUN… [--rounds 1]

Each export runs in a separate process, like `sskt-edge export`, into a temporary folder, with the precisions of the
run's recipe. A thread reads the resident memory of the process and its children every 20 ms. A phase is the progress
bar that is open, or the time after the last one. In the figure for one process, pages of shared libraries count in
full; in the figure for all processes, each page counts once (PSS). Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sskt_edge.common.progress import QUIET, Bar

_EVERY = 0.02  # seconds
COLUMNS = ("this process", "the largest that it starts", "all at once")


class Memory(NamedTuple):
    """Resident memory in GB: of this process, of the largest that it started, of all together."""

    own: float
    child: float
    all: float

    def largest(self, other: Memory) -> Memory:
        """The larger of each."""
        return Memory(*map(max, self, other))


class Phases:
    """Progress that notes the largest memory of each phase."""

    def __init__(self) -> None:
        self.peaks: dict[str, Memory] = {}
        self._now = "imports"
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            now = resident()
            self.peaks[self._now] = now.largest(self.peaks.get(self._now, now))
            time.sleep(_EVERY)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        self._now = what
        with QUIET.bar(what, total) as bar:
            yield bar
        self._now = f"after {what}"

    def say(self, line: str) -> None:
        print(line, file=sys.stderr)


def resident() -> Memory:
    """What is resident now."""
    own, *children = [_gigabytes(one) for one in (os.getpid(), *_started_by(os.getpid()))]
    return Memory(own[0], max((each[0] for each in children), default=0), own[1] + sum(each[1] for each in children))


def _started_by(process: int) -> list[int]:
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(one) for each in lists for one in each.read_text().split()]


def _gigabytes(process: int) -> tuple[float, float]:
    """What is resident of a process, and its share of it: a page of n processes is an nth of each."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:  # it has ended
        return 0, 0
    sizes = {name: int(size.split()[0]) * 1024 / 1e9 for name, _, size in (line.partition(":") for line in lines)}
    return sizes.get("Rss", 0), sizes.get("Pss", 0)


def export(run: str) -> None:
    """Export one run and print the peaks as JSON."""
    phases = Phases()
    from sskt_edge.convert.bundle_from_run import bundle_from_run
    from sskt_edge.targets.finished_run import read_finished

    with tempfile.TemporaryDirectory(prefix="sskt-edge-") as folder:
        bundle_from_run(read_finished(Path(run)), Path(folder, "bundle"), phases)
    print(json.dumps(phases.peaks))


def main() -> None:
    """Read the command line, export, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        export(given.runs[0])
        return
    for run in given.runs:
        command = [sys.executable, "-m", "benchmarks.export_memory", "--only", run]
        rounds = [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(given.rounds)
        ]
        print(f"\n{Path(run).name}, n = {given.rounds}\n\n| phase | {' | '.join(COLUMNS)} |\n|---|---|---|---|")
        for phase in rounds[0]:
            print(f"| {phase} | {_cells([one[phase] for one in rounds if phase in one])} |")
        largest = [[max(column) for column in zip(*one.values(), strict=True)] for one in rounds]
        print(f"| **the largest** | {_cells(largest)} |")


def _cells(rounds: list[list[float]]) -> str:
    """The median of the rounds; behind it the largest, where it differs."""
    found = [(f"{statistics.median(column):.2f}", f"{max(column):.2f}") for column in zip(*rounds, strict=True)]
    return " | ".join(middle if middle == largest else f"{middle} (at most {largest})" for middle, largest in found)


if __name__ == "__main__":
    main()

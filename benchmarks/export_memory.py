"""How much memory does an export take, and in which phase?

    python -m benchmarks.export_memory RUN… [--rounds 1]

Each export is made in a process of its own, into a temporary folder, with the precisions of the run's recipe. A thread
reads the process's resident memory every 5 ms; a phase is the progress bar that is open, or what follows the last one.
The pages of shared libraries count, since they are resident too; their share is in the column "of libraries". Linux.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.turns import memory
from sskt_edge.runtime.progress import QUIET, Bar

_EVERY = 0.005  # seconds


class Phases:
    """Progress that notes the largest memory of each phase, in GB."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}
        self._now = "imports"
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.peaks[self._now] = max(self.peaks.get(self._now, 0.0), memory("VmRSS"))
            time.sleep(_EVERY)

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        self._now = what
        with QUIET.bar(what, total) as bar:
            yield bar
        self._now = f"after {what}"

    def say(self, line: str) -> None:
        print(line, file=sys.stderr)


def export(run: str) -> None:
    """Export one run and print the peaks as JSON."""
    phases = Phases()
    from sskt_edge.convert.bundle_from_run import bundle_from_run
    from sskt_edge.targets.run_folder import read_run

    with tempfile.TemporaryDirectory(prefix="sskt-edge-") as folder:
        bundle_from_run(read_run(Path(run)), Path(folder, "bundle"), phases)
    told = {"phases": phases.peaks, "peak": memory("VmHWM"), "libraries": memory("RssFile")}
    print(json.dumps(told))


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
        told = [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(given.rounds)
        ]
        peaks = ", ".join(f"{one['peak']:.2f}" for one in told)
        print(f"\n{Path(run).name}: peak {peaks} GB, of libraries {told[-1]['libraries']:.2f} GB\n")
        print("| phase | GB |\n|---|---|")
        for phase, peak in told[-1]["phases"].items():
            print(f"| {phase} | {peak:.2f} |")


if __name__ == "__main__":
    main()

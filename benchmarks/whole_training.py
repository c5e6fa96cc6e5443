"""What does a whole training with sources cost, including filling an empty store, compared with one from scratch?

    python -m benchmarks.whole_training --data FLOWERS [--epochs 100] [--pairs 6] [--set KEY=VALUE …]

Both sides are the user's command: `sskt-edge train flowers` with SSKT, one source, its transfer module and 16 views,
and the same with method.name=scratch. They take turns, and the order alternates between pairs. It prints the seconds of
each command, with the parts for training and for labels (including the trial of the engines), the ratio of each pair,
the median ratio with its quartiles, n, and each side's peak memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sskt_edge.targets.run_folder import read_run
from sskt_edge.targets.run_layout import find_runs

SIDES = {"one source": ("method.name=sskt", "method.transfer_module=true"), "scratch": ("method.name=scratch",)}
ALWAYS = ("data.unlabelled=", "train.mixing.mixup=0", "train.batch_size=64", "labels.store=labels")


class Took(NamedTuple):
    """One command: its seconds, those of training and of labels, and its peak."""

    seconds: float
    training: float
    labels: float
    gigabytes: float


def trained(data: Path, epochs: int, further: Sequence[str]) -> Took:
    """The command, in an empty folder."""
    changes = [f"data.root={data}", f"train.epochs={epochs}", *ALWAYS, *further]
    words = [word for change in changes for word in ("--set", change)]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "sskt_edge.cli.main", "train", "flowers", *words]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            said = process.stderr.read().decode()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(said)
        (run,) = find_runs(Path(folder) / "runs")
        result = read_run(run.path).result
    return Took(seconds, result.seconds, result.label_seconds, usage.ru_maxrss / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/ and test/")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of both sides; repeatable")
    told = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| pair | one source, s | of which training | of which labels | scratch, s | ratio |")
    print("|---|---|---|---|---|---|", flush=True)
    ratios, peaks = [], dict.fromkeys(SIDES, 0.0)
    for pair in range(told.pairs):
        took: dict[str, Took] = {}
        for name in sorted(SIDES, reverse=pair % 2 == 1):
            took[name] = trained(told.data.resolve(), told.epochs, [*SIDES[name], *told.set])
            peaks[name] = max(peaks[name], took[name].gigabytes)
        ours, scratch = took["one source"], took["scratch"]
        ratios.append(ours.seconds / scratch.seconds)
        row = [f"{value:.0f}" for value in (pair + 1, *ours[:3], scratch.seconds)]
        print(f"| {' | '.join(row)} | {ratios[-1]:.2f} |", flush=True)
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    memory = ", ".join(f"{name} {peak:.2f}" for name, peak in peaks.items())
    ratio = f"{middle:.2f} ({low:.2f} to {high:.2f}), n = {told.pairs}"
    print(f"\n{told.epochs} epochs: {ratio}. Peak memory, GB: {memory}")


if __name__ == "__main__":
    main()

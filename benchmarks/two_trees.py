"""Is this source tree as fast as another one, such as the code before a change?

    git worktree add ../before REVISION
    python -m benchmarks.two_trees ../before --data FLOWERS [--rounds 5]

Both trees do the same work in turns, in separate processes, with the order reversed every second round: filling a store
with EfficientNet-Lite0's labels by OpenVINO and training resnet20 at 64 × 64 on them with SSKT, both timed by
`sskt-edge train`; `sskt-edge --help`; and importing the module that opens a bundle. It prints the medians, the median
of the rounds' ratios with the smallest and the largest, and n.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from sskt_edge.machine.conditions import conditions

HERE = Path(__file__).parents[1]
TOLD = (
    *("method.name=sskt", "data.unlabelled=", "train.mixing.mixup=0", "train.epochs=6", "train.batch_size=32"),
    "train.precision=fp32",
    *("labels.views=4", "labels.engine=openvino", "labels.precision=fp32"),
)
SHORT = {
    "--help": ("-m", "sskt_edge.cli.main", "--help"),
    "import of open_bundle": ("-c", "from sskt_edge import open_bundle"),
}


def python(tree: Path, *words: str, folder: Path) -> float:
    """Seconds of a process that sees this tree's package."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr}")
    return time.perf_counter() - start


def one_round(tree: Path, data: Path) -> dict[str, float]:
    """What is measured → seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = [word for change in (f"data.root={data}", *TOLD) for word in ("--set", change)]
        python(tree, "-m", "sskt_edge.cli.main", "train", "flowers", *told, folder=folder)
        (path,) = folder.glob("runs/*/result.json")
        result = json.loads(path.read_text())
        taken = {"labels": result["label_seconds"], "training": result["seconds"]}
        return taken | {
            what: min(python(tree, *words, folder=folder) for _ in range(5)) for what, words in SHORT.items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    before, data = told.before.resolve(), told.data.resolve()
    rounds = []
    for number in range(told.rounds):
        order = (before, HERE) if number % 2 == 0 else (HERE, before)
        rounds.append({tree: one_round(tree, data) for tree in order})
    processor = conditions().processor
    print(f"{processor.name}, {processor.cores} cores, torch {torch.__version__}, Python {platform.python_version()}\n")
    head = ("what", "before, s", "now, s", "now / before (smallest to largest)", "n")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for what in rounds[0][HERE]:
        was, now = (np.array([one[tree][what] for one in rounds]) for tree in (before, HERE))
        ratio = now / was
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        print(f"| {what} | {np.median(was):.3f} | {np.median(now):.3f} | {spread} | {len(ratio)} |")


if __name__ == "__main__":
    main()

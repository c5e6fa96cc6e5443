"""How long does it take to fit a probe?

    python -m benchmarks.probe_fit [--images 500] [--views 16] [--outputs 1000] [--rounds 5]

The logits are drawn: each class has a random centre, and each image and each view are spread around it, so that a probe
is right on most images but not on all. It prints, for each number of classes, the median seconds of a fit with their
range, and the accuracy on held-out images. A fit includes the search for the strength of the regularisation, the
layers of all folds, and the temperature.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.progress import QUIET
from sskt_edge.sources.probe.fit import fit_probe_on
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task

CASES: tuple[tuple[str, Task, int], ...] = (
    ("single-label", SINGLE_LABEL, 5),
    ("single-label", SINGLE_LABEL, 20),
    ("single-label", SINGLE_LABEL, 100),
    ("multi-label", MULTI_LABEL, 20),
)
FOLDS = 5


def drawn(task: Task, classes: int, images: int, views: int, outputs: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The labels of the images, and the logits of all views, [views · images, outputs]."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((classes, outputs))
    if task is SINGLE_LABEL:
        labels: NDArray[Any] = np.arange(images) % classes
        means = centres[labels]
    else:
        labels = (random.random((images, classes)) < 0.1).astype(np.int8)
        means = labels @ centres
    of_images = means + 6 * random.standard_normal((images, outputs))
    logits = np.concatenate([of_images + 3 * random.standard_normal((images, outputs)) for _ in range(views)])
    return labels, logits.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--outputs", type=int, default=1000, help="the source's classes")
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    folds = np.arange(told.images) // max(classes for _, _, classes in CASES) % FOLDS
    rows = np.tile(np.arange(told.images), told.views)
    print(f"{told.images * told.views:,} views of {told.images} images, {told.outputs} outputs, {told.rounds} rounds\n")
    print("| task | classes | seconds (range) | held out |\n|---|---|---|---|")
    for name, task, classes in CASES:
        labels, logits = drawn(task, classes, told.images, told.views, told.outputs)
        names = [str(number) for number in range(classes)]
        took = []
        for _ in range(told.rounds):
            start = time.perf_counter()
            probe = fit_probe_on(task, labels, folds, rows, {"source": logits}, names, QUIET)
            took.append(time.perf_counter() - start)
        seconds = f"{statistics.median(took):.1f} ({min(took):.1f} to {max(took):.1f})"
        score = probe.facts[0].score
        print(f"| {name} | {classes} | {seconds} | {score.metric} {score.value:.1%} |", flush=True)


if __name__ == "__main__":
    main()

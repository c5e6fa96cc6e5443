"""How often does the interval of an mAP contain the true mAP?

    python -m benchmarks.map_interval [--draws 100] [--resamples 300]

Images are drawn with simulated scores: each class has a share of positives, whose scores are normal and D higher than
those of the negatives. For every draw of N images the interval is computed as in the package. The benchmark counts how
often it contains the mean mAP of all draws ("other draws") and the mAP of 400,000 images ("endless"). Both should be
95 %. "Drop" is the same for the difference from scores with normal noise added, on the same images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.tasks.average_precision import Ranking, area, points_of, rank_images
from sskt_edge.tasks.bootstrap import resampled_weights, standard_interval


class Case(NamedTuple):
    images: int
    classes: int
    d: float
    noise: float = 0.0


CASES = (
    *(Case(1000, 20, d) for d in (0.2, 0.8, 1.5, 2.5)),
    *(Case(200, 20, d) for d in (0.8, 1.5)),
    *(Case(300, classes, 1.5) for classes in (1, 5)),
    *(Case(1000, 20, 1.5, noise) for noise in (0.02, 0.1, 0.5)),
    *(Case(200, 20, 1.5, 0.1), Case(1000, 1, 1.5, 0.1)),
)


class Draws:
    """Draws of a case: both sides' rankings of every class; one side where there is no noise."""

    def __init__(self, case: Case, seed: int) -> None:
        self._case, self._random = case, np.random.default_rng(seed)
        self._shares = np.geomspace(0.03, 0.15, case.classes) if case.classes > 1 else np.array([0.1])

    def rankings(self, images: int) -> list[list[Ranking]]:
        shape = (images, self._case.classes)
        labels = (self._random.random(shape) < self._shares).astype(np.int8)
        scores = self._random.standard_normal(shape) + self._case.d * labels
        sides = [scores]
        if self._case.noise:
            sides.append(scores + self._case.noise * self._random.standard_normal(shape))
        return [[rank_images(side[:, one], labels[:, one]) for one in range(shape[1])] for side in sides]


def figure(sides: Sequence[Sequence[Ranking]], weights: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
    """The mAP of the first side less that of the second, in every resample."""
    means = []
    for side in sides:
        each = np.array([area(points_of(one, weights)) for one in side])
        has = ~np.isnan(each)
        counts = has.sum(axis=0)
        means.append(
            np.divide(np.where(has, each, 0).sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0)
        )
    return np.asarray(means[0] - means[1] if len(means) > 1 else means[0], dtype=np.float64)


def share_held(intervals: NDArray[np.float64], value: float) -> float:
    return float(np.mean((intervals[:, 0] <= value) & (value <= intervals[:, 1])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=300)
    told = parser.parse_args()
    head = ("what", "images", "classes", "D", "noise", "mean", "endless", "width", "holds other draws", "holds endless")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for case in CASES:
        draws = Draws(case, seed=1)
        weights = np.concatenate(list(resampled_weights(case.images, told.resamples)), axis=1)
        sides = [draws.rankings(case.images) for _ in range(told.draws)]
        estimates = [float(figure(one)[0]) for one in sides]
        intervals = np.array(
            [standard_interval(e, figure(one, weights)) for e, one in zip(estimates, sides, strict=True)]
        )
        mean, endless = float(np.mean(estimates)), float(figure(draws.rankings(400_000))[0])
        width = float(np.mean(intervals[:, 1] - intervals[:, 0]))
        cells = [
            "drop" if case.noise else "mAP",
            str(case.images),
            str(case.classes),
            str(case.d),
            str(case.noise or ""),
        ]
        cells += [f"{value:.2%}" for value in (mean, endless, width)]
        cells += [f"{share_held(intervals, value):.0%}" for value in (mean, endless)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

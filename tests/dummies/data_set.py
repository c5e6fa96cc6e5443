"""A data set of bright and dark squares, 8 × 8."""

from __future__ import annotations

import numpy as np

from sskt_edge.data.arrays import ArrayReader, Arrays
from sskt_edge.recipe.models import DataOptions
from sskt_edge.tasks.task import Task


def open_squares(data: DataOptions, task: Task, fetch: bool) -> ArrayReader:
    del task, fetch

    def arrays(part: str, count: int, seed: int) -> Arrays:
        labels = np.arange(count, dtype=np.int64) % 2
        noise = np.random.default_rng(seed).integers(0, 60, (count, 8, 8, 3))
        return Arrays((noise + 150 * labels[:, None, None, None]).astype(np.uint8), labels, part, range(count))

    return ArrayReader(data, ("dark", "bright"), arrays("train", 16, 0), lambda: arrays("test", 8, 1))

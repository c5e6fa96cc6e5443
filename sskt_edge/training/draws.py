"""Random numbers of a training step, drawn from the seed and the step's number: no random state has to be saved."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are for. Each purpose has its own, so that one option does not change those of another.

    0 is not among them: the orders of images have it, see data/batches.py.
    """

    INPUT = 1
    MIXING = 2


def generator(seed: int, purpose: Purpose, step: int) -> np.random.Generator:
    """The generator of one purpose in one step of a training.

    Args:
        seed: the training seed, below 2³².
        purpose: what the numbers are for.
        step: the number of the step since the beginning of the training.
    """
    return np.random.Generator(np.random.Philox(key=np.array([seed + (purpose << 32), step], dtype=np.uint64)))

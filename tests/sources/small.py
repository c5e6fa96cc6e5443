"""Small real networks and images for the tests of sources."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.source import Source

CPU = torch.device("cpu")


def images(number: int = 4, size: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (number, size, size, 3), dtype=np.uint8)


def network(classes: int = 5, seed: int = 0) -> nn.Sequential:
    """Convolution, BatchNorm with statistics of its own, dropout, linear."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(8, classes),
        )
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.1, 1.0)
    return net


def answers(source: Source, shots: NDArray[np.uint8], engine: SourceEngine | None = None) -> NDArray[np.float32]:
    """What a source says, in one batch, by its reference or by another engine."""
    return source.open(engine or source.engines()[0], shots.shape[1], len(shots)).run(shots)

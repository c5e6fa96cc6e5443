"""A process in which the same training gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sskt_edge.targets.exact import exact


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Deterministic kernels inside; the process's random numbers stay as they were."""
    with exact(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield

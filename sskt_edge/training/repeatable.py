"""Make a training reproducible: the same training gives the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sskt_edge.targets.exact import exact


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Use deterministic kernels inside the context, and leave the process's random state unchanged."""
    with exact(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield

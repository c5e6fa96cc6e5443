"""Read many image files in threads, within bounded memory."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sskt_edge.images.decode import size_of

T = TypeVar("T")

LARGE = 32_000_000
"""Pixels. Larger images are decoded one at a time; eight smaller ones take at most 2 GB (8 bytes per pixel)."""


def read_in_order(paths: Sequence[Path], read: Callable[[Path], T]) -> Iterator[T]:
    """Call `read` on every file in up to eight threads, and yield its results in the order of `paths`.

    Only a few files per thread are read ahead. All large images are decoded by one further thread: the C library
    reserves the memory that a thread has freed for that thread, so eight threads would hold eight times as much.

    Args:
        paths: the files.
        read: decodes one file; it should return something small, such as a resized square.
    """
    workers = min(8, os.cpu_count() or 1)
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(1) as one_at_a_time, ThreadPoolExecutor(workers) as pool:

        def read_in_turn(path: Path) -> T:
            return one_at_a_time.submit(read, path).result() if math.prod(size_of(path)) > LARGE else read(path)

        for path in paths:
            waiting.append(pool.submit(read_in_turn, path))
            if len(waiting) == 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

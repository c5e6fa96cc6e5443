"""A writer that gathers labels until they fill a shard."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import StorageError
from sskt_edge.sources.store.keys import Keys
from sskt_edge.sources.store.label_format import Arrays, LabelFormat


class Writer:
    """Takes labels batch by batch. The rest is written when the context ends, even if it ends with an exception.

    Args:
        append: writes keys and packed logits as one shard.
        label_format: the format of the logits.
        rows: the number of rows of a full shard.
        seconds: how long after its first row a shard is written even if it is not full, so that a kill costs no more.
    """

    def __init__(
        self, append: Callable[[Keys, Arrays], None], label_format: LabelFormat, rows: int, seconds: float
    ) -> None:
        self._append, self._label_format, self._rows, self._seconds = append, label_format, rows, seconds
        self._waiting: list[tuple[Keys, Arrays]] = []
        self._since = 0.0

    def add(self, keys: Keys, logits: NDArray[np.float32]) -> None:
        """Add the labels of one batch: keys S16 [B], logits float32 [B,C].

        Raises:
            NetworkError: a logit is not finite, or too large for float16; the whole batch is refused.
            StorageError: the disk is full or the shard cannot be written; earlier shards stay intact.
        """
        if len(keys) != len(logits):
            raise ValueError(f"{len(keys)} keys with {len(logits)} rows of logits")
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((keys.copy(), self._label_format.pack(logits)))
        waiting = sum(len(keys) for keys, _ in self._waiting)
        if waiting >= self._rows or time.monotonic() - self._since >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write the labels that are waiting.

        Raises:
            StorageError: the disk is full or the shard cannot be written.
        """
        if sum(len(keys) for keys, _ in self._waiting):
            keys = np.concatenate([keys for keys, _ in self._waiting])
            parts = [arrays for _, arrays in self._waiting]
            self._append(keys, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        # They are cleared only now: if a signal comes in between, they are written twice rather than never.
        self._waiting = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the rest, unless writing it has just failed."""
        if kind is None or not issubclass(kind, StorageError):
            self.flush()

"""Stored logits, read on demand, since a store may be larger than the memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import StorageError
from sskt_edge.sources.store.label_format import Arrays, LabelFormat
from sskt_edge.sources.store.manifest import Shard
from sskt_edge.sources.store.shards import DamagedShardError, map_shard

# A memory map keeps a file open, and some systems allow a process only 256 open files.
_MAPS = 128


class StoredLogits:
    """The logits for the keys that a collection was opened with.

    Args:
        folder: the collection's folder.
        label_format: the format of the logits.
        shards: the shards, all of them intact.
        numbers: int32 [N], the index in `shards` for each key.
        rows: int32 [N], the row in that shard for each key.
    """

    def __init__(
        self,
        folder: Path,
        label_format: LabelFormat,
        shards: Sequence[Shard],
        numbers: NDArray[np.int32],
        rows: NDArray[np.int32],
    ) -> None:
        self._folder, self._label_format, self._shards = folder, label_format, shards
        self._numbers, self._rows = numbers, rows
        self._arrays = lru_cache(_MAPS)(self._map)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, slots: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] slots, which index the keys that the collection was opened with → float32 [B,C].

        Raises:
            StorageError: a file was removed or truncated in the meantime.
        """
        read = np.empty((len(slots), self._label_format.classes), dtype=np.float32)
        numbers, rows = self._numbers[slots], self._rows[slots]
        for number in np.unique(numbers):
            here = numbers == number
            packed = {name: array[rows[here]] for name, array in self._arrays(number).items()}
            read[here] = self._label_format.unpack(packed)
        return read

    def _map(self, number: int) -> Arrays:
        shard = self._shards[number]
        try:
            arrays = map_shard(self._folder, shard, self._label_format)
        except DamagedShardError as error:
            raise StorageError(
                f"'{self._folder / shard.name}' was changed while it was in use: {error}. "
                f"Run the same command again: its labels are computed again."
            ) from error
        del arrays["keys"]
        return arrays

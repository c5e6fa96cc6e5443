"""Stored logits, read as they are needed: a store may be larger than the memory."""

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

# A map holds a file open, and systems allow a process as few as 256 of them.
_MAPS = 128


class StoredLogits:
    """The logits of the keys that a collection was opened with.

    Args:
        folder: the collection's.
        label_format: how the logits are kept.
        shards: whole ones.
        numbers: int32 [N], for each key its place in `shards`.
        rows: int32 [N], for each key its row in that shard.
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
        """[B] slots, counted as the keys that the collection was opened with → float32 [B,C].

        Raises:
            StorageError: a file was removed or cut meanwhile.
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
                f"Run the same command again: its labels are asked again."
            ) from error
        del arrays["keys"]
        return arrays

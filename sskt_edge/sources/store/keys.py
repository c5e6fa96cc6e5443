"""The keys of soft labels: 16 bytes that hash the image's content and the view's integers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# All 16 bytes are compared and sorted; numpy drops trailing zeros only when it converts an element to Python bytes.
Keys = NDArray[np.bytes_]
KEY_BYTES = 16


def view_keys(hashes: NDArray[np.uint8], views: NDArray[np.int32]) -> Keys:
    """uint8 [N,32] content hashes, int32 [N,5] views → S16 [N]: BLAKE2b of the hash and the little-endian integers."""
    content = np.hstack([hashes, views.astype("<i4").view(np.uint8)])
    size, joined = content.shape[1], content.tobytes()
    digests = [
        hashlib.blake2b(joined[start : start + size], digest_size=KEY_BYTES).digest()
        for start in range(0, len(joined), size)
    ]
    return np.frombuffer(b"".join(digests), dtype=f"S{KEY_BYTES}")


class KeyIndex:
    """An index that gives the shard and the row of a key.

    Args:
        shards: the keys of each shard, S16 [n]. If a key occurs twice, the first one counts.
    """

    def __init__(self, shards: Sequence[Keys]) -> None:
        keys = np.concatenate([np.empty(0, f"S{KEY_BYTES}"), *shards])
        sizes = [len(shard) for shard in shards]
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._shards = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        self._rows = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)])[
            order
        ]

    def find(self, keys: Keys) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """S16 [N] → the shard number and the row, int32 [N] each; both are -1 where no shard has the key."""
        if not len(self._keys):
            nowhere = np.full(len(keys), -1, dtype=np.int32)
            return nowhere, nowhere
        places = np.searchsorted(self._keys, keys)
        places[places == len(self._keys)] = 0
        found = self._keys[places] == keys
        return np.where(found, self._shards[places], -1), np.where(found, self._rows[places], -1)

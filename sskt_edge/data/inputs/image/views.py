"""Views: a few integers that describe a region of an image, drawn from the image's content, not from a state.

The generator is counter-based: view seed, view number and the image's content hash go through a keyed BLAKE2b, and the
words of the digest are the random numbers. No state is kept, so workers, order and resuming cannot change a view.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.inputs.input import ViewPolicy

VIEW_LENGTH = 5
_WORDS = 5
_RATIO = 4 / 3  # widest and tallest shape of a random resized crop, as in Inception training


def draw_views(hashes: NDArray[np.uint8], policy: ViewPolicy, seed: int, number: int) -> NDArray[np.int32]:
    """uint8 [N,32] content hashes → int32 [N,5]: (y, x, height, width, flip) of view `number` of each image.

    The unit is a pixel of a size × size image; y and x may be negative, down to -padding.
    """
    keyed = hashlib.blake2b(key=struct.pack("<QQ", seed, number), person=b"view", digest_size=4 * _WORDS)
    words = np.frombuffer(b"".join(_digests(keyed, hashes)), dtype="<u4").reshape(-1, _WORDS)
    views = np.empty((len(hashes), VIEW_LENGTH), dtype=np.int32)
    if policy.area is None:
        views[:, 0] = _below(words[:, 0], 2 * policy.padding + 1) - policy.padding
        views[:, 1] = _below(words[:, 1], 2 * policy.padding + 1) - policy.padding
        views[:, 2:4] = policy.size
    else:
        views[:, :4] = _resized_crop(words, policy.size, policy.area)
    views[:, 4] = _below(words[:, 4], 2) if policy.flip else 0
    return views


def _digests(keyed: hashlib.blake2b, hashes: NDArray[np.uint8]) -> Iterator[bytes]:
    """The keyed digest of each row. Copying `keyed` saves hashing its key again, which halves the time."""
    for row in hashes:
        digest = keyed.copy()
        digest.update(row.tobytes())
        yield digest.digest()


def _below(words: NDArray[np.uint32], bound: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Uniform integers in [0, bound) from 32 random bits each (bias below bound / 2³²)."""
    return ((words.astype(np.uint64) * np.asarray(bound, dtype=np.uint64)) >> np.uint64(32)).astype(np.int64)


def _resized_crop(words: NDArray[np.uint32], size: int, area: tuple[float, float]) -> NDArray[np.int64]:
    """(y, x, height, width): area uniform in its range, log of the shape uniform in ±log 4/3, place uniform."""
    uniform = words / 2.0**32
    share = area[0] + (area[1] - area[0]) * uniform[:, 0]
    shape = np.exp((2 * uniform[:, 1] - 1) * np.log(_RATIO))
    height = np.clip(np.rint(size * np.sqrt(share / shape)), 1, size).astype(np.int64)
    width = np.clip(np.rint(size * np.sqrt(share * shape)), 1, size).astype(np.int64)
    y, x = _below(words[:, 2], size - height + 1), _below(words[:, 3], size - width + 1)
    return np.stack([y, x, height, width], axis=1)

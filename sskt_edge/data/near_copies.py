"""Images that a person would call the same: resized, or encoded again, found by a perceptual hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sskt_edge.common.progress import Progress
from sskt_edge.data.copies import Copies, Parts, copies_of_pairs

NEAR = 56
"""Bits of 256 in which the hashes of two near copies may differ.

Measured (benchmarks/results/near_copies.md) on two sets of photographs, 3,670 of flowers and 3,000 of VOC2007: their
copies of half the size, of JPEG quality 60 to 90, are within 34 and 56. Of the photographs themselves, 28 pairs of
flowers are within 56, all of one scene, and none of VOC2007; the first pairs of two scenes are 74 and 72 apart.
"""

SIZE = 64
"""Of the square that is hashed: the centre, so that a copy with its edges cut off is found too."""

_FREQUENCIES = 16
BLOCK = 1024


def perceptual_hashes(images: NDArray[np.uint8], progress: Progress) -> NDArray[np.bool_]:
    """uint8 [N,SIZE,SIZE,3] → bool [N,256]: which of the lowest 16 × 16 frequencies are above their median (pHash).

    Raises:
        ModuleNotFoundError: ImageHash is not installed.
    """
    import imagehash

    bits = np.empty((len(images), _FREQUENCIES**2), dtype=np.bool_)
    with progress.bar("hash what is seen", len(images)) as bar:
        for row, image in enumerate(images):
            bits[row] = imagehash.phash(Image.fromarray(image), hash_size=_FREQUENCIES).hash.ravel()
            bar.advance()
    return bits


def find_near_copies(
    parts: Parts, bits: NDArray[np.bool_], distance: int, progress: Progress, examples: int | None = None
) -> Copies:
    """Compare every image with every other by its perceptual hash; those of equal content are left out.

    Time: N² · 256 multiplications, a second for 3,670 images, some minutes for 60,000.

    Args:
        parts: the images.
        bits: bool [N,256], as perceptual_hashes gives them.
        distance: how many bits may differ.
        progress: draws the bar "compare images".
        examples: how many pairs of each kind to name, the nearest first; None for all.
    """
    signs = np.where(bits, np.float32(1), np.float32(-1))
    found: list[tuple[int, int, int]] = []  # distance, earlier, later
    with progress.bar("compare images", len(signs)) as bar:
        for start in range(0, len(signs), BLOCK):
            block = signs[start : start + BLOCK]
            apart = (signs.shape[1] - block @ signs[start:].T) / 2  # whole numbers below 2²⁴: exact in float32
            for one, other in np.argwhere(np.triu(apart <= distance, 1)):
                earlier, later = start + int(one), start + int(other)
                if not np.array_equal(parts.hashes[earlier], parts.hashes[later]):
                    found.append((int(apart[one, other]), earlier, later))
            bar.advance(len(block))
    return copies_of_pairs(parts, [(earlier, later) for _, earlier, later in sorted(found)], examples)

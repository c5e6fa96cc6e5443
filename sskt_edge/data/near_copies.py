"""Find images that a person would call the same, such as resized or re-encoded ones, by a perceptual hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sskt_edge.common.progress import Progress
from sskt_edge.data.copies import Copies, Parts, copies_of_pairs

NEAR = 56
"""Bits of 256 in which the hashes of two near copies may differ.

Measured (benchmarks/results/near_copies.md) on two sets of photographs, 3,670 of flowers and 3,000 of VOC2007: their
copies of half the size, at JPEG quality 60 to 90, differ in at most 34 and 56 bits. Among the photographs themselves,
28 pairs of flowers differ in at most 56 bits, all of the same scene, and no pair of VOC2007 does. The nearest pairs of
different scenes differ in 74 and 72 bits.
"""

SIZE = 64
"""Side of the square that is hashed: the centre, so that a copy with its edges cut off is found too."""

_FREQUENCIES = 16
BLOCK = 1024


def perceptual_hashes(images: NDArray[np.uint8], progress: Progress) -> NDArray[np.bool_]:
    """uint8 [N,SIZE,SIZE,3] → bool [N,256]: which of the lowest 16 × 16 frequencies are above their median (pHash).

    Raises:
        ModuleNotFoundError: ImageHash is not installed.
    """
    import imagehash

    bits = np.empty((len(images), _FREQUENCIES**2), dtype=np.bool_)
    with progress.bar("perceptual hashes", len(images)) as bar:
        for row, image in enumerate(images):
            bits[row] = imagehash.phash(Image.fromarray(image), hash_size=_FREQUENCIES).hash.ravel()
            bar.advance()
    return bits


def find_near_copies(
    parts: Parts, bits: NDArray[np.bool_], distance: int, progress: Progress, examples: int | None = None
) -> Copies:
    """Compare every image with every other by its perceptual hash; pairs of equal content are left out.

    Time: N² · 256 multiplications, which take a second for 3,670 images and some minutes for 60,000.

    Args:
        parts: the images.
        bits: bool [N,256], as returned by perceptual_hashes.
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

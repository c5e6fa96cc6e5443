"""Data sets that come as arrays of equal images: CIFAR, STL10, and the digits that packages ship."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sskt_edge.data.images import ImageSet
from sskt_edge.data.split import budget, hold_out, rank
from sskt_edge.recipe.models import Data
from sskt_edge.runtime.images import to_square
from sskt_edge.runtime.progress import Progress

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images [N,S,S,3], labels [N]


class ArrayReader:
    """A reader over two arrays; the test array is made only when asked for."""

    def __init__(self, data: Data, classes: Sequence[str], train: Arrays, test: Callable[[], Arrays]) -> None:
        self._data, self._train, self._test = data, train, test
        self.classes = tuple(classes)
        self.own_side: int = train[0].shape[1]
        self.skipped: list[str] = []

    def training(self, sides: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """The training images within the budget, resized, and the validation images if the recipe keeps some."""
        images, labels = self._train
        hashes = array_hashes(images)
        order = rank(hashes, self._data.split_seed)
        validation = None
        if self._data.validation > 0:
            kept, held = hold_out(labels, order, self._data.validation)
            validation = _image_set(images[held], labels[held], hashes[held], sides[:1], progress)
            order = order[np.isin(order, kept)]
        rows = budget(labels, order, self._data.per_class)
        return _image_set(images[rows], labels[rows], hashes[rows], sides, progress), validation

    def test(self, sides: Sequence[int], progress: Progress) -> ImageSet:
        """The test images, resized."""
        images, labels = self._test()
        return _image_set(images, labels, array_hashes(images), sides, progress)


def array_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [N,...] → the SHA-256 of each image's bytes, uint8 [N,32]."""
    digests = b"".join(hashlib.sha256(image.tobytes()).digest() for image in images)
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)


def _image_set(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    hashes: NDArray[np.uint8],
    sides: Sequence[int],
    progress: Progress,
) -> ImageSet:
    return ImageSet({side: _resized(images, side, progress) for side in sides}, labels, hashes)


def _resized(images: NDArray[np.uint8], side: int, progress: Progress) -> NDArray[np.uint8]:
    """[N,S,S,3] → [N,side,side,3] by the one reader's rule; nothing is done where S is side."""
    if images.shape[1] == side:
        return images
    out = np.empty((len(images), side, side, 3), dtype=np.uint8)
    with progress.bar("resize images", len(images)) as bar:
        for row, image in enumerate(images):
            out[row] = to_square(Image.fromarray(image), side)
            bar.advance()
    return out

"""Data sets that come as arrays of items of one size: CIFAR, STL10, and the digits that packages ship."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.data.images import ImageSet, digests_as_array, images_from_folder
from sskt_edge.data.split import Division, content_groups, divide, rank
from sskt_edge.data.unlabelled import list_unlabelled, packed, packed_images, unknown_rows, unlabelled_notes
from sskt_edge.images.decode import to_square
from sskt_edge.images.listing import FolderListing, load
from sskt_edge.recipe.models import DataOptions


class Arrays(NamedTuple):
    """A published array.

    Attributes:
        images: uint8 [N,S,S,3], or [N,T,S,S,3] for clips.
        labels: int64 [N]; -1 for an image without a label.
        part: the name of the array, such as "train".
        places: [N], the rows of the images in the published array.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    part: str
    places: Sequence[int]

    def pick(self, rows: NDArray[np.intp]) -> Arrays:
        """A copy of some rows."""
        return Arrays(self.images[rows], self.labels[rows], self.part, [self.places[row] for row in rows])

    def packed(self, rows: NDArray[np.intp]) -> Arrays:
        """Pick ascending rows in place: they overwrite the memory of the whole array."""
        places = [self.places[row] for row in rows]
        return Arrays(packed(self.images, rows), self.labels[rows], self.part, places)


class ArrayReader:
    """A reader over arrays; the test array is created only when its images or their contents are needed.

    Raises:
        DataError: data.unlabelled names a folder without images.
        TypeError: `train` is not made as Arrays describes.
    """

    def __init__(
        self,
        data: DataOptions,
        classes: Sequence[str],
        train: Arrays,
        test: Callable[[], Arrays],
        unlabelled: Callable[[], Arrays] | None = None,
    ) -> None:
        """Read from `train`, from the result of `test`, and from the set's own unlabelled images if it has any."""
        if train.images.dtype != np.uint8 or len(train.images) != len(train.labels):
            shapes = f"{train.images.dtype} {list(train.images.shape)} with {len(train.labels)} labels"
            raise TypeError(f"expected images uint8 [N,S,S,3] and N labels, got {shapes}")
        self._data, self._train, self._test = data, train, test
        self._folder = list_unlabelled(data)
        self._kinds: dict[str, Callable[[], Arrays]] = {"rest": lambda: train.pick(self._parts.rest)}
        if unlabelled is not None:
            self._kinds["unlabeled"] = unlabelled
        self.classes = tuple(classes)
        self.own_size: int = train.images.shape[-2]
        self.skipped: list[str] = []
        self.notes = unlabelled_notes(self._folder)
        self._test_contents: ImageSet | None = None

    def training(self, sizes: Sequence[int], progress: Progress) -> tuple[ImageSet, ImageSet | None]:
        """The training images within the budget, resized, and the validation images if the recipe keeps some."""
        parts = self._parts
        validation = None
        if parts.validation is not None:
            validation = self._image_set(parts.validation, sizes[:1], progress)
        return self._image_set(parts.labelled, sizes, progress), validation

    def unlabelled(self, sizes: Sequence[int], progress: Progress) -> ImageSet | None:
        """The images of data.unlabelled, if it names any, without copies of other images of the recipe.

        A copy has exactly the same pixels. An image from a folder is compared at the data set's own size, so that a
        file to which one of the set's images was written is found too.

        Memory: at their own size the set's arrays are used unchanged, so that STL10's 100,000 images of 96 pixels
        take 2.76 GB in all; any other size takes N·size²·3 bytes in addition.

        Raises:
            DataError: an image of the folder cannot be read, or none is left.
        """
        if not self._data.unlabelled:
            return None
        if self._folder is not None:
            return self._from_folder(self._folder, sizes, progress)
        found = self._kinds[self._data.unlabelled]()
        hashes = array_hashes(found.images, progress)
        rows = unknown_rows(self._data, hashes, self._known(progress), progress)
        left = found.packed(rows)._replace(labels=np.full(len(rows), -1, dtype=np.int64))
        return _image_set(left, hashes[rows], sizes, progress)

    def test_contents(self, progress: Progress) -> ImageSet:
        """The test images without their pixels. Their array is created, hashed and freed."""
        if self._test_contents is None:
            arrays = self._test()
            self._test_contents = _image_set(arrays, array_hashes(arrays.images, progress), (), progress)
        return self._test_contents

    def test(self, sizes: Sequence[int], progress: Progress) -> ImageSet:
        """The test images, resized."""
        arrays = self._test()
        return _image_set(arrays, array_hashes(arrays.images), sizes, progress)

    @cached_property
    def _hashes(self) -> NDArray[np.uint8]:
        return array_hashes(self._train.images)

    @cached_property
    def _parts(self) -> Division:
        order = rank(self._hashes, self._data.split_seed)
        groups = content_groups(self._hashes)
        return divide(self._train.labels, order, groups, self._data.validation, self._data.per_class)

    def _image_set(self, rows: NDArray[np.intp], sizes: Sequence[int], progress: Progress) -> ImageSet:
        return _image_set(self._train.pick(rows), self._hashes[rows], sizes, progress)

    def _from_folder(self, listing: FolderListing, sizes: Sequence[int], progress: Progress) -> ImageSet:
        loaded = load(listing, list(dict.fromkeys([*sizes, self.own_size])), self._data.skip_bad, progress)
        self.skipped += loaded.skipped
        contents = array_hashes(loaded.resized[self.own_size], progress)
        rows = unknown_rows(self._data, contents, self._known(progress), progress)
        images = images_from_folder(loaded, Path(self._data.root))
        return packed_images(replace(images, resized={size: images.resized[size] for size in sizes}), rows)

    def _known(self, progress: Progress) -> dict[str, NDArray[np.uint8]]:
        """The contents that must not occur among the unlabelled images."""
        parts = self._parts
        known = {
            "test images": self.test_contents(progress).hashes,
            "labelled training images": self._hashes[parts.labelled],
        }
        if parts.validation is not None:
            known["validation images"] = self._hashes[parts.validation]
        return known


def array_hashes(images: NDArray[np.uint8], progress: Progress = QUIET) -> NDArray[np.uint8]:
    """uint8 [N,...] → the SHA-256 of each image's bytes, uint8 [N,32]."""
    digests = []
    with progress.bar("hash images", len(images)) as bar:
        for image in images:
            digests.append(hashlib.sha256(image.tobytes()).digest())
            bar.advance()
    return digests_as_array(digests)


def _image_set(arrays: Arrays, hashes: NDArray[np.uint8], sizes: Sequence[int], progress: Progress) -> ImageSet:
    names = tuple(f"{arrays.part}[{place}]" for place in arrays.places)
    return ImageSet({size: _resized(arrays.images, size, progress) for size in sizes}, arrays.labels, hashes, names)


def _resized(images: NDArray[np.uint8], size: int, progress: Progress) -> NDArray[np.uint8]:
    """[N,…,S,S,3] → [N,…,size,size,3] by the same rule as for files; nothing is done if S equals size."""
    if images.shape[-2] == size:
        return images
    out = np.empty((*images.shape[:-3], size, size, 3), dtype=np.uint8)
    with progress.bar("resize images", len(images)) as bar:
        for place in np.ndindex(images.shape[:-3]):
            out[place] = to_square(Image.fromarray(images[place]), size)
            bar.advance(int(not any(place[1:])))
    return out

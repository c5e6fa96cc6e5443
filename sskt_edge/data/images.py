"""A set of images in memory, decoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.printable import printable
from sskt_edge.images.listing import LoadedFolder


@dataclass(frozen=True)
class ImageSet:
    """N items of a data set, such as images, each in every size that is needed.

    Attributes:
        resized: size → uint8 [N,*shape], where `shape` is the input's shape for the size: (size, size, 3) for images.
        labels: a label per image, in the task's form: class numbers int64 [N], or int8 [N,K]; -1 where unknown.
        hashes: uint8 [N,32], the SHA-256 of each image's own content (file or array), whatever it was resized to.
        names: each image's name in messages: its file, or its place in the published array, such as "train[17]".
        weights: float32 [N], the weight of each image in the loss; None if all count the same.
    """

    resized: Mapping[int, NDArray[np.uint8]]
    labels: NDArray[Any]
    hashes: NDArray[np.uint8]
    names: tuple[str, ...]
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def images_from_folder(loaded: LoadedFolder, root: Path) -> ImageSet:
    """A folder's decoded images, named by their paths relative to `root` if they are inside it."""
    names = tuple(short_name(path, root) for path in loaded.paths)
    return ImageSet(loaded.resized, loaded.labels, digests_as_array(loaded.hashes), names)


def digests_as_array(digests: list[bytes]) -> NDArray[np.uint8]:
    """N digests of 32 bytes → uint8 [N,32]."""
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)


def labelled_sha256(classes: Sequence[str], images: ImageSet, validation: ImageSet | None) -> str:
    """The identity of training and validation images: their classes, labels, weights and contents, in order."""
    digest = hashlib.sha256("\0".join(classes).encode())
    for part in (images, validation):
        if part is not None:
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part.labels.tobytes())
            digest.update(part.hashes.tobytes())
            digest.update(b"" if part.weights is None else part.weights.tobytes())
    return digest.hexdigest()


def unlabelled_sha256(images: ImageSet) -> str:
    """The identity of unlabelled images: their contents, in order."""
    return hashlib.sha256(images.hashes.tobytes()).hexdigest()


def short_name(path: Path, root: Path) -> str:
    """A file's printable name in messages: its path, relative to `root` if it is inside it."""
    return printable((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())

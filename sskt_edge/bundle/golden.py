"""The golden set of a bundle: real test images with the trained network's own logits, to compare any session with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from sskt_edge.common.errors import BundleError, DataError
from sskt_edge.tasks.task import Labels, Task

FILE_NAME = "golden.safetensors"


@dataclass(frozen=True, eq=False)
class Golden:
    """G images in full, and the whole test set of N images by the hash of its pixels.

    Attributes:
        images: uint8 [G,*shape], the network's own input.
        labels: the images' labels in the task's form: int64 [G], or int8 [G,C].
        logits: float32 [G,C], the trained network's.
        test_pixels: uint8 [N,32], the SHA-256 of each test image's pixels (see `pixel_hashes`).
        test_labels: the test set's labels in the task's form: int64 [N], or int8 [N,C].
        test_logits: float32 [N,C], the trained network's.
    """

    images: npt.NDArray[np.uint8]
    labels: Labels
    logits: npt.NDArray[np.float32]
    test_pixels: npt.NDArray[np.uint8]
    test_labels: Labels
    test_logits: npt.NDArray[np.float32]

    def as_bytes(self) -> bytes:
        """The content of golden.safetensors."""
        arrays = {field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)}
        return safetensors.numpy.save(arrays)


def golden_from_bytes(content: bytes, shape: tuple[int, ...], classes: int, task: Task) -> Golden:
    """The content of golden.safetensors → Golden.

    Args:
        content: the bytes of the file.
        shape: the shape of one image, channels last: (S,S,3).
        classes: the number of classes.
        task: the task that says what the labels mean.

    Raises:
        BundleError: it is not safetensors, an array is missing or has the wrong type or shape, or the labels do not
            fit the task.
    """
    try:
        arrays: dict[str, npt.NDArray[Any]] = safetensors.numpy.load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{FILE_NAME} cannot be read: {error}. Export the bundle again.") from error
    shown, tested = (len(np.atleast_1d(arrays.get(name, np.empty(0)))) for name in ("labels", "test_labels"))
    label = task.unknown(0, classes)
    expected = {
        "images": (np.uint8, (shown, *shape)),
        "labels": (label.dtype.type, (shown, *label.shape[1:])),
        "logits": (np.float32, (shown, classes)),
        "test_pixels": (np.uint8, (tested, 32)),
        "test_labels": (label.dtype.type, (tested, *label.shape[1:])),
        "test_logits": (np.float32, (tested, classes)),
    }
    got = {name: (array.dtype.type, array.shape) for name, array in arrays.items()}
    if got != expected or shown == 0:
        wrong = sorted(name for name in got.keys() | expected.keys() if got.get(name) != expected.get(name))
        raise BundleError(
            f"{FILE_NAME}: wrong or missing arrays: {', '.join(wrong) or 'no images'}. Export the bundle again."
        )
    try:
        for name in ("labels", "test_labels"):
            task.check(arrays[name], classes)
    except DataError as error:
        raise BundleError(f"{FILE_NAME}: {error} Export the bundle again.") from error
    return Golden(**arrays)


def pixel_hashes(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The SHA-256 of each image's pixels. uint8 [N,*shape] → uint8 [N,32]."""
    digests = b"".join(hashlib.sha256(image.tobytes()).digest() for image in images)
    return np.frombuffer(digests, dtype=np.uint8).reshape(len(images), 32)

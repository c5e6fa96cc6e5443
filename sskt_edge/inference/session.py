"""The contract of everything that turns images into logits: uint8, channels last, in; float32 out; scaling inside.

A shape describes one image without the batch: (S,S,3), or (T,S,S,3) for a clip of T frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError, NetworkError
from sskt_edge.common.progress import QUIET, Progress

# The names of the input and the output of every exported network.
INPUT_NAME, OUTPUT_NAME = "images", "logits"


class Session(Protocol):
    """Something that turns images into logits.

    Attributes:
        backend: the library that runs the network: "onnxruntime", "openvino", "torch".
        provider: what really runs it: "cpu", "cuda".
        precision: what it really computes in: "fp32", "bf16", "fp16".
        versions: the versions of the libraries that take part.
        max_batch: how many images are run at once; larger batches are split. A session with a fixed batch pads the last
            part, so that every run has exactly this many images.
    """

    backend: str
    provider: str
    precision: str
    versions: dict[str, str]
    max_batch: int

    def run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 [N,*shape] → float32 [N,classes]."""


class Phases(NamedTuple):
    """The phases of one run in seconds, by the device's own clock; the host's time is not included.

    Attributes:
        copy_in: the copy of the images to the device.
        compute: the network.
        copy_out: the copy of the logits back.
    """

    copy_in: float
    compute: float
    copy_out: float


@runtime_checkable
class TimedSession(Protocol):
    """A session on a device with its own memory, which can time copies and computation separately."""

    def timed(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], Phases]:
        """uint8 [N,*shape] → float32 [N,classes], and the time of each phase."""


def check_images(images: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    """Check that `images` are uint8 [N,*shape], N ≥ 1.

    Raises:
        DataError: they have another type or shape.
    """
    if images.dtype != np.uint8 or tuple(images.shape[1:]) != shape or len(images) == 0:
        raise DataError(
            f"Images: got {images.dtype} {list(images.shape)}, expected uint8 {batch_of(shape)} with N of at least 1. "
            "Read them with sskt_edge.images.read.read_file."
        )


def other_form(got: str, shape: tuple[int, ...]) -> NetworkError:
    """The error for a network whose input or output does not have the form that a session expects."""
    return NetworkError(
        f"The network's input or output has another form: got {got or 'nothing'}; expected one input uint8 "
        f"{batch_of(shape)} and one output float32 [N,classes], N dynamic. Put scaling and layout inside the graph and "
        "export it again."
    )


def batch_of(shape: tuple[int, ...]) -> str:
    """The shape of a batch as messages show it: (8, 8, 3) → "[N,8,8,3]"."""
    return f"[N,{','.join(map(str, shape))}]"


def run_in_parts(
    run: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    images: npt.NDArray[np.uint8],
    size: int,
    fixed: bool,
) -> npt.NDArray[np.float32]:
    """Run `images` in parts of at most `size`; if `fixed`, of exactly `size`, where black images pad the last part.

    uint8 [N,*shape] → float32 [N,classes].
    """
    lacking = -len(images) % size if fixed else 0
    if lacking:
        images = np.concatenate([images, np.zeros((lacking, *images.shape[1:]), dtype=np.uint8)])
    parts = [run(images[at : at + size]) for at in range(0, len(images), size)]
    logits = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return logits[: len(images) - lacking]


def run_batches(
    session: Session, images: npt.NDArray[np.uint8], batch: int, classes: int, progress: Progress = QUIET
) -> npt.NDArray[np.float32]:
    """Run all images, `batch` at a time, with a bar. uint8 [N,*shape] → float32 [N,classes].

    Raises:
        NetworkError: the session's output has another number of classes.
    """
    logits = np.empty((len(images), classes), dtype=np.float32)
    with progress.bar("inference", len(images)) as bar:
        for start in range(0, len(images), batch):
            part = session.run(images[start : start + batch])
            if part.shape != logits[start : start + batch].shape:
                raise NetworkError(
                    f"The network's output is {list(part.shape)}, expected "
                    f"{list(logits[start : start + batch].shape)}: the number of classes differs. Export it again."
                )
            logits[start : start + batch] = part
            bar.advance(len(part))
    return logits

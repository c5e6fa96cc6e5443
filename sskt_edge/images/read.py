"""Read files into a network's input: one reader for each kind of input, named by its entry in the catalogue."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from sskt_edge.catalogue.inputs import INPUTS
from sskt_edge.common.errors import InputError
from sskt_edge.common.progress import Progress
from sskt_edge.images.decode import decode, read_square, to_square
from sskt_edge.images.listing import FolderListing, load

Shape = tuple[int, ...]
JPEG_QUALITY = 90


class ReadFiles(NamedTuple):
    """The files of a folder that could be read.

    Attributes:
        images: uint8 [N,*shape].
        labels: int64 [N], the class numbers of the listing.
        skipped: a message for each file that was left out.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    skipped: list[str]


class FileReader(Protocol):
    """Reads files into the input of a network."""

    def read(self, path: Path, shape: Shape) -> npt.NDArray[np.uint8]:
        """A file → uint8 [*shape].

        Raises:
            DataError: the file is missing or cannot be read.
        """

    def read_folder(
        self, listing: FolderListing, shape: Shape, skip_bad: bool, progress: Progress, skip_by: str
    ) -> ReadFiles:
        """Read the files of a listing, as `listing.load` does."""

    def timed_read(self, images: npt.NDArray[np.uint8]) -> Callable[[], object]:
        """uint8 [N,*shape] → a call to time, which reads the next image from a file in memory."""


class SquareReader:
    """Reads images: the short side is resized and the centre is cropped. The shape is (S,S,3)."""

    def read(self, path: Path, shape: Shape) -> npt.NDArray[np.uint8]:
        """An image file → uint8 [S,S,3]."""
        return read_square(path, shape[0])

    def read_folder(
        self, listing: FolderListing, shape: Shape, skip_bad: bool, progress: Progress, skip_by: str
    ) -> ReadFiles:
        """The images of a listing → uint8 [N,S,S,3]."""
        loaded = load(listing, [shape[0]], skip_bad, progress, skip_by)
        return ReadFiles(loaded.resized[shape[0]], loaded.labels, loaded.skipped)

    def timed_read(self, images: npt.NDArray[np.uint8]) -> Callable[[], object]:
        """uint8 [N,S,S,3] → a call that decodes, resizes and crops the next image from a JPEG made by Pillow."""
        files, side = itertools.cycle([_jpeg(image) for image in images]), images.shape[1]
        return lambda: to_square(decode(next(files), "a JPEG of a golden image"), side)


def _jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


SQUARES = SquareReader()


def find_reader(kind: str) -> FileReader | None:
    """The reader of a kind of input, such as "image"; None if files of this kind cannot be read."""
    reader: FileReader | None = INPUTS[kind].file_reader() if kind in INPUTS else None
    return reader


def reader_of(kind: str) -> FileReader:
    """The reader of a kind of input, such as "image".

    Raises:
        InputError: files of this kind cannot be read.
    """
    reader = find_reader(kind)
    if reader is None:
        read = ", ".join(entry.name for entry in INPUTS.values() if entry.files)
        raise InputError(
            f"The network takes input of kind '{kind}'; this version of sskt-edge reads files of {read} only. "
            "sskt-edge eval without --data checks the bundle with its golden set."
        )
    return reader


def read_file(path: Path | str, kind: str, shape: Shape) -> npt.NDArray[np.uint8]:
    """Read a file into a network's input, uint8 [*shape].

    Args:
        path: the file.
        kind: the kind of the network's input in the bundle's manifest, such as "image".
        shape: the shape of that input, channels last: (S,S,3).

    Raises:
        InputError: files of this kind cannot be read.
        DataError: the file is missing or cannot be read.
    """
    return reader_of(kind).read(Path(path), shape)

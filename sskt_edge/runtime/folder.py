"""A folder of images on disk, of classes or not: each file is read once."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sskt_edge.errors import DataError, nearest
from sskt_edge.runtime.images import read_image, to_square
from sskt_edge.runtime.progress import QUIET, Progress

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
_ENDINGS = f"Files count as images by their ending: {' '.join(sorted(EXTENSIONS))}."


@dataclass(frozen=True, eq=False)
class FolderListing:
    """The images of a folder, not opened yet.

    Attributes:
        root: the folder.
        classes: the class names, sorted; none if the folder is not one of classes.
        paths: the N files.
        labels: int64 [N], places in `classes`; -1 where there are none.
    """

    root: Path
    classes: tuple[str, ...]
    paths: list[Path]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """The images of a folder, decoded; N counts those that could be read.

    Attributes:
        classes: those of the listing.
        squares: for each asked side, uint8 [N,side,side,3].
        labels: int64 [N].
        hashes: the SHA-256 of each file's bytes.
        paths: the files, in order.
        skipped: a message for each image that was left out.
    """

    classes: tuple[str, ...]
    squares: dict[int, npt.NDArray[np.uint8]]
    labels: npt.NDArray[np.int64]
    hashes: list[bytes]
    paths: list[Path]
    skipped: list[str]


def list_classes(root: Path) -> FolderListing:
    """List root/<class>/…/<image>: classes and files sorted by name, hidden ones left out.

    Raises:
        DataError: no such folder, no sub-folders, or a class without images.
    """
    _must_exist(root)
    classes = tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not classes:
        raise DataError(
            f"'{root}' has no sub-folders. Put the images of each class into a sub-folder of its name: "
            f"'{root / '<class>' / 'image.jpg'}'."
        )
    odd = [name for name in classes if not name.isprintable()]  # what is no UTF-8 arrives as unprintable surrogates
    if odd:
        raise DataError(f"'{root}': the folder {odd[0]!a} has a name that cannot be printed. Rename it.")
    files = [_images_below(root / name) for name in classes]
    empty = [name for name, found in zip(classes, files, strict=True) if not found]
    if empty:
        raise DataError(
            f"'{root}': no images for class {_quoted(empty)}. Put images there or remove the folder. {_ENDINGS}"
        )
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(found) for found in files])
    return FolderListing(root, classes, [path for found in files for path in found], labels)


def list_images(root: Path) -> FolderListing:
    """List every image below `root`, whatever its folder, sorted by path, hidden ones left out; none has a class.

    Raises:
        DataError: no such folder, or no image in it.
    """
    _must_exist(root)
    paths = _images_below(root)
    if not paths:
        raise DataError(f"'{root}' has no images, nor has any folder in it. Put images there. {_ENDINGS}")
    return FolderListing(root, (), paths, np.full(len(paths), -1, dtype=np.int64))


def load(
    listing: FolderListing, sides: Sequence[int], skip_bad: bool = False, progress: Progress = QUIET
) -> LoadedFolder:
    """Read and decode every image once, in threads, into one array a side; the order stays.

    Args:
        listing: what to read.
        sides: the sides of the squares wanted.
        skip_bad: leave out images that cannot be read, instead of stopping at the first.
        progress: draws the bar "images".

    Raises:
        DataError: an image cannot be read and `skip_bad` is false, or a class has none that can.
            Of a listing without classes nothing at all may be left.
    """
    squares = {side: np.empty((len(listing.paths), side, side, 3), dtype=np.uint8) for side in sides}
    kept: list[int] = []
    hashes: list[bytes] = []
    skipped: list[str] = []
    with progress.bar("images", len(listing.paths)) as bar:
        for number, result in enumerate(_read_in_order(listing.paths, sides)):
            bar.advance()
            if isinstance(result, DataError):
                if not skip_bad:
                    raise DataError(f"{result} To leave such images out: data.skip_bad = true.") from result
                skipped.append(str(result))
                continue
            for side, square in zip(sides, result.squares, strict=True):
                squares[side][len(kept)] = square
            kept.append(number)
            hashes.append(result.digest)
    labels = listing.labels[kept]
    # A part of a folder, such as a small validation set, may hold no image of a class at all.
    asked = set(listing.labels.tolist())
    lost = [name for number, name in enumerate(listing.classes) if number in asked and number not in labels]
    if lost:
        raise DataError(f"'{listing.root}': no image of class {_quoted(lost)} can be read. The first: {skipped[0]}")
    return LoadedFolder(
        classes=listing.classes,
        squares={side: array[: len(kept)] for side, array in squares.items()},
        labels=labels,
        hashes=hashes,
        paths=[listing.paths[number] for number in kept],
        skipped=skipped,
    )


@dataclass(frozen=True, eq=False)
class _Read:
    """What one file gives."""

    digest: bytes
    squares: list[npt.NDArray[np.uint8]]


def _read(path: Path, sides: Sequence[int]) -> _Read | DataError:
    try:
        content, image = read_image(path)
    except DataError as error:
        return error
    return _Read(hashlib.sha256(content).digest(), [to_square(image, side) for side in sides])


def _read_in_order(paths: Sequence[Path], sides: Sequence[int]) -> Iterator[_Read | DataError]:
    """Results in the order of `paths`; only a few images a thread are in memory at a time."""
    workers = min(8, os.cpu_count() or 1)
    waiting: deque[Future[_Read | DataError]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for path in paths:
            waiting.append(pool.submit(_read, path, sides))
            if len(waiting) == 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _must_exist(root: Path) -> None:
    if not root.is_dir():
        around = root.parent.iterdir() if root.parent.is_dir() else []
        near = nearest(root.name, sorted(path.name for path in around if path.is_dir()))
        raise DataError(f"No folder of images at '{root}'. {near}Check the path.")


def _images_below(folder: Path) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name) for name in files if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
        ]
    return sorted(found)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)

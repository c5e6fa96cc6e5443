"""A folder of images on disk, with or without classes; each file is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError
from sskt_edge.common.printable import printable
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.images.class_names import class_folders, spelled
from sskt_edge.images.decode import read_image, to_square
from sskt_edge.images.formats import image_endings
from sskt_edge.images.left_out import LeftOut
from sskt_edge.images.read_ahead import read_in_order
from sskt_edge.images.walk import images_below, must_be_folder, sub_folders


class Expected(NamedTuple):
    """The classes that a folder must have, and the owner that requires them.

    Attributes:
        classes: their names.
        owner: the source of this requirement, for messages: "the bundle", "train/".
    """

    classes: Collection[str]
    owner: str


@dataclass(frozen=True, eq=False)
class FolderListing:
    """The images of a folder, not opened yet.

    Attributes:
        root: the folder.
        classes: the class names in NFC, sorted; none if the folder has no classes.
        paths: the N files.
        labels: int64 [N], indices into `classes`; -1 if there are none.
        left_out: what in the folder was ignored.
    """

    root: Path
    classes: tuple[str, ...]
    paths: list[Path]
    labels: npt.NDArray[np.int64]
    left_out: LeftOut


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """The images of a folder, decoded; N counts those that could be read.

    Attributes:
        classes: the classes of the listing.
        resized: size → uint8 [N,size,size,3].
        labels: int64 [N].
        hashes: the SHA-256 of each file's bytes.
        paths: the files, in order.
        skipped: a message for each image that was left out.
    """

    classes: tuple[str, ...]
    resized: dict[int, npt.NDArray[np.uint8]]
    labels: npt.NDArray[np.int64]
    hashes: list[bytes]
    paths: list[Path]
    skipped: list[str]


def list_classes(root: Path, expected: Expected | None = None) -> FolderListing:
    """List root/<class>/…/<image>: classes and files sorted by name.

    Hidden files and folders and the system's own ones are ignored. Class names are in NFC.

    Args:
        root: the folder.
        expected: the classes that it must have; by default, any.

    Raises:
        DataError: the folder does not exist, cannot be listed, has no sub-folders or other classes than those expected,
            or a class has no images.
    """
    must_be_folder(root)
    names, left = sub_folders(root)
    folders = class_folders(root, names)
    if not folders:
        raise DataError(
            f"'{printable(root)}' has no sub-folders. Put the images of each class into a sub-folder with its name: "
            f"'{printable(root / '<class>' / 'image.jpg')}'."
        )
    if expected is not None:
        _must_match(root, folders, expected)
    found = {name: images_below(folder) for name, folder in folders.items()}
    _must_have_images(root, found, expected)
    paths = [path for own, _ in found.values() for path in own]
    labels = np.repeat(np.arange(len(found), dtype=np.int64), [len(own) for own, _ in found.values()])
    return FolderListing(root, tuple(found), paths, labels, sum((own for _, own in found.values()), left))


def list_images(root: Path) -> FolderListing:
    """List every image below `root`, in any folder, sorted by path, without hidden ones; none has a class.

    Raises:
        DataError: the folder does not exist, cannot be listed, or has no images.
    """
    must_be_folder(root)
    paths, left = images_below(root)
    if not paths:
        raise DataError(f"'{printable(root)}' has no images, and neither has any folder in it. {_put_images(left)}")
    return FolderListing(root, (), paths, np.full(len(paths), -1, dtype=np.int64), left)


def load(
    listing: FolderListing,
    sizes: Sequence[int],
    skip_bad: bool = False,
    progress: Progress = QUIET,
    skip_by: str = "data.skip_bad = true",
) -> LoadedFolder:
    """Read and decode every image once, in threads, into one array per size, in the order of the listing.

    Args:
        listing: what to read.
        sizes: the sizes to resize each image to.
        skip_bad: leave out images that cannot be read, instead of stopping at the first.
        progress: draws the bar "images".
        skip_by: the setting with which the user leaves out such images, for the message.

    Raises:
        DataError: an image cannot be read and `skip_bad` is false, or no image of some class can be read. A listing
            without classes may have no readable image at all.
    """
    resized = {size: np.empty((len(listing.paths), size, size, 3), dtype=np.uint8) for size in sizes}
    kept: list[int] = []
    hashes: list[bytes] = []
    skipped: list[str] = []
    with progress.bar("images", len(listing.paths)) as bar:
        for number, result in enumerate(read_in_order(listing.paths, partial(_read, sizes=sizes))):
            bar.advance()
            if isinstance(result, DataError):
                if not skip_bad:
                    raise DataError(f"{result} To leave such images out: {skip_by}.") from result
                skipped.append(str(result))
                continue
            for size, image in zip(sizes, result.resized, strict=True):
                resized[size][len(kept)] = image
            kept.append(number)
            hashes.append(result.digest)
    labels = listing.labels[kept]
    # A part of a folder, such as a small validation set, may have no image of some class.
    asked = set(listing.labels.tolist())
    lost = [name for number, name in enumerate(listing.classes) if number in asked and number not in labels]
    if lost:
        raise DataError(
            f"'{printable(listing.root)}': no image of class {_quoted(lost)} can be read. The first: {skipped[0]}"
        )
    return LoadedFolder(
        classes=listing.classes,
        resized={size: array[: len(kept)] for size, array in resized.items()},
        labels=labels,
        hashes=hashes,
        paths=[listing.paths[number] for number in kept],
        skipped=skipped,
    )


@dataclass(frozen=True, eq=False)
class _Read:
    """The result of reading one file."""

    digest: bytes
    resized: list[npt.NDArray[np.uint8]]


def _read(path: Path, sizes: Sequence[int]) -> _Read | DataError:
    try:
        content, image = read_image(path)
    except DataError as error:
        return error
    return _Read(hashlib.sha256(content).digest(), [to_square(image, size) for size in sizes])


def _must_match(root: Path, folders: Collection[str], expected: Expected) -> None:
    classes = {spelled(name) for name in expected.classes}
    missing, unknown = sorted(classes - set(folders)), sorted(set(folders) - classes)
    if missing or unknown:
        raise DataError(
            f"'{printable(root)}' has other classes than {expected.owner}. Missing here: {_quoted(missing) or 'none'}. "
            f"Unknown to {expected.owner}: {_quoted(unknown) or 'none'}. "
            f"Its sub-folders must be the classes of {expected.owner}: rename or complete them."
        )


def _must_have_images(root: Path, found: Mapping[str, tuple[list[Path], LeftOut]], expected: Expected | None) -> None:
    empty = [name for name, (paths, _) in found.items() if not paths]
    if not empty:
        return
    left = sum((found[name][1] for name in empty), LeftOut())
    # Do not advise to remove an expected class: the folder would then no longer match its owner.
    owner, remedy = (f", which {expected.owner} has", "") if expected else ("", " or remove the folder")
    raise DataError(f"'{printable(root)}': no images for class {_quoted(empty)}{owner}. {_put_images(left, remedy)}")


def _put_images(left: LeftOut, remedy: str = "") -> str:
    there = f"Ignored: {left}. " if str(left) else ""
    endings = " ".join(sorted(image_endings()))
    return f"{there}Put images there{remedy}. Files count as images by their ending: {endings}."


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)

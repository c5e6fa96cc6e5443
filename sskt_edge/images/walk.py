"""Find the images of a folder by their endings; a folder that cannot be listed is an error."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sskt_edge.common.errors import DataError, nearest
from sskt_edge.common.printable import printable
from sskt_edge.images.formats import image_endings
from sskt_edge.images.left_out import LeftOut

# Folders of Synology and QNAP, of Windows, macOS and ext4, in lower case: thumbnails, copies and deleted files.
_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot"),
        *("$recycle.bin", "system volume information", "__macosx", "lost+found"),
    }
)


def must_be_folder(root: Path) -> None:
    """Refuse a path that is not a folder.

    Raises:
        DataError: the path is missing, a file, a link to a missing target, or cannot be examined.
    """
    name = printable(root)
    try:
        found = root.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the name
        if root.is_symlink():
            raise DataError(f"'{name}' is a link to '{printable(root.readlink())}', which is missing.") from error
        raise DataError(f"No folder of images at '{name}'. {_nearby(root)}Check the path.") from error
    except OSError as error:
        raise DataError(f"'{name}' cannot be read: {error.strerror}. Check the path and its permissions.") from error
    if not stat.S_ISDIR(found.st_mode):
        raise DataError(f"'{name}' is not a folder. Name the folder that holds the images.")


def sub_folders(root: Path) -> tuple[list[str], LeftOut]:
    """The sorted names of the folders in `root`, including links to folders; and what else is there.

    Links to a folder that contains `root` are left out: as a class, such a folder would hold every image.

    Raises:
        DataError: `root` cannot be listed.
    """
    left = LeftOut()
    parent, folders, files = next(os.walk(root, onerror=_refuse))
    for name in files:
        if name.startswith("."):
            left.hidden += _is_image(name)
        elif _is_image(name):
            left.outside += 1
        elif _is_dead_link(parent, name):
            left.links[name] += 1
    start = os.path.realpath(root)
    names = []
    for name in _visible(folders, left):
        if _contains(os.path.realpath(Path(parent, name)), start):
            left.links[name] += 1
        else:
            names.append(name)
    return names, left


def images_below(folder: Path) -> tuple[list[Path], LeftOut]:
    """Every image in a folder and in those below it, sorted; and what was ignored.

    Links to folders are followed, each folder once, but never to one that contains `folder`.

    Raises:
        DataError: a folder cannot be listed.
    """
    left = LeftOut()
    return sorted(_walk(folder, left)), left


def has_images(folder: Path) -> bool:
    """Whether there is an image in a folder or in one below it.

    Raises:
        DataError: a folder cannot be listed.
    """
    return next(_walk(folder, LeftOut()), None) is not None


def _walk(folder: Path, left: LeftOut) -> Iterator[Path]:
    start = os.path.realpath(folder)
    seen = {start}
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        entered = []
        for name in _visible(folders, left):
            real = os.path.realpath(os.path.join(parent, name))  # noqa: PTH118 (pathlib takes ten times as long)
            if _contains(real, start):
                left.links[name] += 1
            elif real not in seen:
                seen.add(real)
                entered.append(name)
        folders[:] = entered
        for name in files:
            if name.startswith("."):
                left.hidden += _is_image(name)
            elif _is_image(name):
                yield Path(parent, name)
            elif _is_dead_link(parent, name):
                left.links[name] += 1
            else:
                left.endings[_ending(name)] += 1


def _visible(folders: list[str], left: LeftOut) -> list[str]:
    """The names, sorted, without hidden folders and the system's own folders."""
    taken = []
    for name in sorted(folders):
        if name.startswith(".") or name.lower() in _SYSTEM_FOLDERS:
            left.folders[name] += 1
        else:
            taken.append(name)
    return taken


def _contains(outer: str, inner: str) -> bool:
    """Whether `outer` equals `inner` or is a folder above it; both paths have no links."""
    return f"{inner}{os.sep}".startswith(f"{outer.rstrip(os.sep)}{os.sep}")


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _is_image(name: str) -> bool:
    return _ending(name) in image_endings()


def _is_dead_link(parent: str, name: str) -> bool:
    """Whether it is a link whose target cannot be reached, which os.walk reports as a file."""
    path = Path(parent, name)
    return path.is_symlink() and not os.path.exists(path)  # noqa: PTH110 (Path.exists fails on a loop of links)


def _refuse(error: OSError) -> None:
    raise DataError(
        f"The folder '{printable(error.filename)}' cannot be listed: {error.strerror}. "
        f"Check its permissions, because its images would be missed."
    ) from error


def _nearby(root: Path) -> str:
    with suppress(OSError, ValueError):
        return nearest(root.name, sorted(path.name for path in root.parent.iterdir() if path.is_dir()))
    return ""

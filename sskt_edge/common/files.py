"""Files that are written completely or not at all (temporary name, fsync, rename), and their hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sskt_edge.common.errors import StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full(error: OSError) -> bool:
    """Whether the disk, or the user's quota on it, was full."""
    return error.errno in _FULL


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def read_regular(path: Path, most: int | None = None) -> bytes:
    """The content of a regular file. Anything else, such as a pipe, is refused at once.

    Args:
        path: the file.
        most: the most bytes expected. One more is read, so that a longer file is noticed. None reads all of it.

    Raises:
        OSError: it cannot be read, or is not a regular file; `strerror` says which.
    """
    # Without O_NONBLOCK, opening a pipe waits for its other end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        # read() reserves memory for as much as it is asked for, and `most` may be any number.
        return file.read() if most is None else file.read(min(most, found.st_size) + 1)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError from writing `path` into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        why = "no space is left on the disk" if is_full(error) else (error.strerror or str(error))
        todo = "Free some space" if is_full(error) else "Check the folder's permissions"
        raise StorageError(
            f"Could not write '{path}': {why}. {todo} and run the same command again; earlier files are untouched."
        ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, even after a crash, sees either the old content or the new, never a part.

    Raises:
        StorageError: the disk is full or the file cannot be written; the old file is unchanged.
    """
    with storage_errors(path):
        new_folders = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            for folder in (path.parent, *(new.parent for new in new_folders)):
                _sync_folder(folder)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; at the end, one rename puts it in the place of `path`.

    An older folder at `path` is kept until the new one is complete. If the block raises, `path` stays as it was.

    Raises:
        StorageError: the disk is full or the files cannot be written.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            for file in sorted(temporary.rglob("*")):
                # Opening a pipe would wait for its other end, and a link may lead nowhere.
                if not file.is_symlink() and (file.is_file() or file.is_dir()):
                    _sync_folder(file)
            _sync_folder(temporary)
            _take_place(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def _take_place(temporary: Path, path: Path) -> None:
    """Rename a complete folder to `path`; the folder that it replaces is removed only afterwards."""
    if not path.exists():
        temporary.replace(path)
    else:
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
        path.replace(old)
        try:
            temporary.replace(path)
        except BaseException:
            old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Fsync a file or folder by its name (Windows cannot fsync a folder)."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask; it can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

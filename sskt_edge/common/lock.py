"""A lock for one process at a time, which the system releases when its holder ends, however it ends."""

from __future__ import annotations

import os
import platform
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sskt_edge.common.errors import StorageError
from sskt_edge.common.files import storage_errors
from sskt_edge.common.progress import QUIET, Progress, Stoppable

_HOLDER = b"process "  # the beginning of a lock file
_SECONDS = 0.1  # between two attempts to take a lock that another process holds

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> None:
        # On Windows, others cannot read a locked byte, so a byte after the holder's name is locked.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, doing: str, progress: Progress, remove: bool = False) -> Iterator[None]:
    """Hold the lock at `path`. While another process holds it, name it and wait.

    Args:
        path: the lock file.
        doing: what its holder does, for the sentence "Waiting for process 7 on host, which …".
        progress: reports which process is waited for. While waiting, its bar is advanced by 0 again and again: a bar
            that raises ends the wait.
        remove: delete the lock file at the end.

    Raises:
        StorageError: the file cannot be created in its folder, something else exists at `path`, or the file system does
            not support locks.
    """
    descriptor = _held_descriptor(path, doing, progress)
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):  # Windows cannot remove a file that another process has open
                path.unlink()
        os.close(descriptor)


def _held_descriptor(path: Path, doing: str, progress: Progress) -> int:
    """Open and lock the file at `path`; repeat if it was removed or replaced while this process waited for it."""
    while True:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # The file will be emptied, so a link in its place is refused where the system supports that.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _refuse_another_file(descriptor, path)
            if not _taken(descriptor, path):
                _wait(descriptor, path, doing, progress)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait(descriptor: int, path: Path, doing: str, progress: Progress) -> None:
    """Wait until this process has the lock, and report which process holds it."""
    said = _name_holder(path, doing, progress, "")
    with progress.bar("wait for another process", 1) as bar:
        while not _taken(descriptor, path):
            bar.advance(0)
            time.sleep(_SECONDS)
            said = _name_holder(path, doing, progress, said)


def _name_holder(path: Path, doing: str, progress: Progress, said: str) -> str:
    """Report which process holds the lock, unless it was `said` before; return the process."""
    with suppress(FileNotFoundError):
        holder = path.read_text(encoding="utf-8", errors="replace")
        if holder not in ("", said):
            progress.say(f"Waiting for {holder}, which {doing}.")
            return holder
    return said


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file: its last holder may have removed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


class _HeldError(Exception):
    """Another process has the lock."""


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` if no other process does. Yields whether this process has it; it never waits.

    Raises:
        StorageError: as for locked.
    """

    def give_up() -> None:
        raise _HeldError

    try:
        descriptor = _held_descriptor(path, "", Stoppable(QUIET, give_up))
    except _HeldError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a running process holds the lock at `path`."""
    with locked_if_free(path) as is_free:
        return not is_free


def remove_if_free(path: Path) -> None:
    """Remove a lock file that no process holds. It never waits, and keeps a file that it cannot or may not remove.

    The file is removed while this process holds its lock: a process that waits for it notices, and creates a new one.
    """
    with suppress(OSError):  # it is held, or gone, or on a read-only disk
        # Opening a pipe must not block.
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            if _is_plain(descriptor) and _names_a_holder(descriptor):
                _try(descriptor)
                if _is_at(descriptor, path):
                    path.unlink()
        finally:
            os.close(descriptor)


def _names_a_holder(descriptor: int) -> bool:
    """Whether the file holds what `_taken` writes, or is still empty: any other file belongs to the user."""
    content = os.read(descriptor, len(_HOLDER))
    return content in (b"", _HOLDER)


def _is_plain(descriptor: int) -> bool:
    """Whether it is a regular file without a second hard link, under which it may be somebody else's file."""
    facts = os.fstat(descriptor)
    # It has no link at all if its holder has just removed it, which does no harm.
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink <= 1


def _refuse_another_file(descriptor: int, path: Path) -> None:
    """Refuse anything but a regular file with a single name."""
    if not _is_plain(descriptor):
        raise StorageError(
            f"'{path}' is not a lock file: it is a hard link, or not a regular file. Nothing was written to it. "
            "Remove it and run the same command again."
        )


def _taken(descriptor: int, path: Path) -> bool:
    """Try to take the lock; if that succeeds, write this process's name to the file."""
    with storage_errors(path):
        try:
            _try(descriptor)
        except (BlockingIOError, PermissionError):
            return False
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, _HOLDER + f"{os.getpid()} on {platform.node()}".encode())
    return True

"""One process at a time: a lock that the system frees when its holder ends, however it ends."""

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

_HOLDER = b"process "  # with what a lock's file begins
_SECONDS = 0.1  # between two looks at a lock that another process holds

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> None:
        # Windows keeps others from reading a locked byte, so a byte behind the holder's name is locked.
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
        path: of the lock's file.
        doing: what its holder does, for the sentence "Waiting for process 7 on host, which …".
        progress: is told which process is waited for. Its bar goes on by 0 again and again meanwhile: a bar that
            raises ends the waiting.
        remove: leave no file behind.

    Raises:
        StorageError: the folder does not take the file, something else stands in its place, or its file system knows no
            locks.
    """
    descriptor = _held_descriptor(path, doing, progress)
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):  # Windows keeps a file that another process has open
                path.unlink()
        os.close(descriptor)


def _held_descriptor(path: Path, doing: str, progress: Progress) -> int:
    """The file at `path`, open and locked; another one may have been put there, or none, while it was waited for."""
    while True:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # The file is emptied, so a link in its place is refused, where the system can tell.
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
    """Wait until the lock is this process's, and say which process holds it."""
    said = _name_holder(path, doing, progress, "")
    with progress.bar("wait for another process", 1) as bar:
        while not _taken(descriptor, path):
            bar.advance(0)
            time.sleep(_SECONDS)
            said = _name_holder(path, doing, progress, said)


def _name_holder(path: Path, doing: str, progress: Progress, said: str) -> str:
    """Say which process holds the lock, unless that is what was `said` before; the process."""
    with suppress(FileNotFoundError):
        holder = path.read_text(encoding="utf-8", errors="replace")
        if holder not in ("", said):
            progress.say(f"Waiting for {holder}, which {doing}.")
            return holder
    return said


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that has this name now: its last holder may have removed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


class _HeldError(Exception):
    """Another process has the lock."""


def is_held(path: Path) -> bool:
    """Whether a process that is alive holds the lock at `path`."""

    def give_up() -> None:
        raise _HeldError

    try:
        with locked(path, "", Stoppable(QUIET, give_up)):
            return False
    except _HeldError:
        return True


def remove_if_free(path: Path) -> None:
    """Remove a lock's file that no process holds. It waits for none, and leaves what it cannot or may not remove.

    The file is removed while it is locked here: a process that waits for it notices, and makes another one.
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
    """Whether the file says what `_taken` writes, or nothing yet: any other file is the user's."""
    content = os.read(descriptor, len(_HOLDER))
    return content in (b"", _HOLDER)


def _is_plain(descriptor: int) -> bool:
    """Whether it is a file, and has no second name, a hard link: under that it may belong to anybody."""
    facts = os.fstat(descriptor)
    # It has no name at all where its holder has just removed it, which does no harm.
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink <= 1


def _refuse_another_file(descriptor: int, path: Path) -> None:
    """Refuse what is not a file of its own."""
    if not _is_plain(descriptor):
        raise StorageError(
            f"'{path}' is not a lock: it is a hard link to another file, or not a file. Nothing was written to it. "
            "Remove it and run the same command again."
        )


def _taken(descriptor: int, path: Path) -> bool:
    """Whether the lock is this process's now; its name then stands in the file."""
    with storage_errors(path):
        try:
            _try(descriptor)
        except (BlockingIOError, PermissionError):
            return False
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, _HOLDER + f"{os.getpid()} on {platform.node()}".encode())
    return True

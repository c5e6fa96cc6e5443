"""Two processes of one study: who trains a recipe, and whether a process is still there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.sources.store.lock import locked


class _HeldError(Exception):
    """Another process has the lock."""


@contextmanager
def held(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock at `path`, after whoever holds it now.

    Raises:
        StorageError: the folder does not take the file.
    """
    said = False

    def waiting() -> None:
        nonlocal said
        if not said:
            who = path.read_text(encoding="utf-8", errors="replace")
            progress.say(f"Waiting for {who}, which trains the same recipe.")
        said = True

    with locked(path, QUIET, waiting):
        yield


def is_held(path: Path) -> bool:
    """Whether a process that is alive holds the lock at `path`."""

    def give_up() -> None:
        raise _HeldError

    try:
        with locked(path, QUIET, give_up):
            return False
    except _HeldError:
        return True

"""The list of engines that this user built here. Loading an engine runs it, so others are loaded only on request."""

from __future__ import annotations

import re
from pathlib import Path

from platformdirs import user_state_path

from sskt_edge.common.errors import InputError
from sskt_edge.common.files import read_regular, write_atomically
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET, Progress

_SHA256 = re.compile(r"[0-9a-f]{64}")


def list_path() -> Path:
    """The file of the list, one SHA-256 per line, in the user's state folder."""
    return user_state_path("sskt-edge", appauthor=False) / "own-engines.txt"


def remember(plan_sha256: str, progress: Progress = QUIET) -> None:
    """Add an engine, by the SHA-256 of its plan, to the list.

    Raises:
        InputError: this is not a SHA-256, or the list is broken.
        StorageError: the list cannot be written.
    """
    if _SHA256.fullmatch(plan_sha256) is None:
        raise InputError(f"The SHA-256 of an engine: got '{plan_sha256}', expected 64 hexadecimal digits.")
    path = list_path()
    with locked(path.with_suffix(".lock"), "writes the list of own engines", progress):
        own = _read(path)
        if plan_sha256 not in own:
            write_atomically(path, "".join(f"{line}\n" for line in [*own, plan_sha256]).encode())


def is_own(plan_sha256: str) -> bool:
    """Whether the engine with this SHA-256 was built here, by this user.

    Raises:
        InputError: the list is broken.
    """
    return plan_sha256 in _read(list_path())


def _read(path: Path) -> list[str]:
    """Read the list and check all of it: nothing in a broken list is trusted."""
    try:
        lines = read_regular(path).decode("ascii").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, getattr(error, "strerror", None) or "it is not text") from error
    wrong = next((number for number, line in enumerate(lines, 1) if _SHA256.fullmatch(line) is None), None)
    if wrong is not None:
        raise _broken(path, f"line {wrong} is not a SHA-256")
    return lines


def _broken(path: Path, why: str) -> InputError:
    return InputError(
        f"The list of engines that were built here, '{path}', cannot be read: {why}. Remove it; the engines that it "
        "listed are then built again."
    )

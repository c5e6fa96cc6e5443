"""All errors that a user can see. Each message says what was wrong, what was got, and what to do.

SsktEdgeError
├── InputError               the user's input is wrong: exit code 2
│   ├── RecipeError          a recipe, or a --set
│   ├── DataError            a data set, a folder, an image
│   ├── CheckpointError      weights that are missing, have other shapes, or would run code
│   ├── NetworkError         an unknown target or source, or one that cannot take the given input
│   ├── RunError             a run folder that is missing, unfinished or broken
│   ├── BundleError          a bundle that is missing, changed, or not trusted
│   ├── StudyError           a comparison or a sweep: its arms, its space, its folder, its storage
│   └── MissingExtraError    a package that this verb needs is not installed
└── WorkError                the input was valid, but the work failed: exit code 1
    ├── ParityError          two sessions that should agree do not
    ├── DivergenceError      the loss is infinite or not a number
    ├── StorageError         the disk is full, or the file cannot be written
    └── DownloadError        weights or data could not be fetched

Interrupted is raised when SIGINT (exit code 130) or SIGTERM (143) arrives. It does not derive from
Exception, so that code that handles errors, here or in a library, does not catch it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

_CLOSE = 0.6


class SsktEdgeError(Exception):
    """The base of all errors. `exit_code` is the exit code of the command line."""

    exit_code = 1


class InputError(SsktEdgeError):
    """The user's input is wrong."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe, or a --set, is wrong."""


class DataError(InputError):
    """A data set, a folder or an image is wrong."""


class CheckpointError(InputError):
    """Weights are missing, have other shapes, or would run code."""


class NetworkError(InputError):
    """A target or source is unknown, or cannot take the given input."""


class RunError(InputError):
    """A run folder is missing, unfinished or broken."""


class BundleError(InputError):
    """A bundle is missing, changed, or not trusted."""


class StudyError(InputError):
    """The arms, space, folder or storage of a comparison or a sweep are wrong."""


class MissingExtraError(InputError):
    """A package that this verb needs is not installed."""


class WorkError(SsktEdgeError):
    """The input was valid, but the work failed."""


class ParityError(WorkError):
    """Two sessions that should agree do not."""


class DivergenceError(WorkError):
    """The loss is infinite or not a number."""


class StorageError(WorkError):
    """The disk is full, or the file cannot be written."""


class DownloadError(WorkError):
    """Weights or data could not be fetched."""


class Interrupted(BaseException):
    """A signal arrived: `signum` is 2 (SIGINT) or 15 (SIGTERM). Whatever the message calls saved has been saved."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum, self.exit_code = signum, 128 + signum


def nearest(name: str, known: Iterable[str]) -> str:
    """`Nearest: 'x'. ` if one of `known` is close to `name`, else "". It goes into the middle of a message."""
    best = max(known, key=lambda other: closeness(name, other), default="")
    return f"Nearest: '{best}'. " if is_close(name, best) else ""


def is_close(name: str, other: str) -> bool:
    """Whether `name` may be a misspelling of `other`."""
    return closeness(name, other)[0] >= _CLOSE


def closeness(name: str, other: str) -> tuple[float, int]:
    """How similar two names are, 0 to 1, and the length of their common prefix, which decides between equals."""
    # Most spelling mistakes are at the end of a name.
    return difflib.SequenceMatcher(None, name, other).ratio(), len(os.path.commonprefix([name, other]))  # noqa: RUF071

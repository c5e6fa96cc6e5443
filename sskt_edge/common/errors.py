"""Every error that a user can meet. Each message says what was wrong, what was got, and what to do.

SsktEdgeError
├── InputError               the user's input is wrong: exit code 2
│   ├── RecipeError          a recipe, or a --set
│   ├── DataError            a data set, a folder, an image
│   ├── CheckpointError      weights that are missing, of other shapes, or that want to run code
│   ├── NetworkError         an unknown target or source, or one that cannot take the given input
│   ├── RunError             a run folder that is missing, unfinished or broken
│   ├── BundleError          a bundle that is missing, changed, or not to be trusted
│   ├── StudyError           a comparison or a sweep: its arms, its space, its folder, its storage
│   └── MissingExtraError    a package that this verb needs is not installed
└── WorkError                the input was right, the work failed: exit code 1
    ├── ParityError          two sessions that should agree do not
    ├── DivergenceError      the loss is not a finite number any more
    ├── StorageError         the disk is full, or does not take the file
    └── DownloadError        weights or data could not be fetched

Interrupted stands apart: SIGINT (exit code 130) or SIGTERM (143) came. It does not derive from
Exception, so that code that handles faults, here or in a library, does not catch it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

_CLOSE = 0.6


class SsktEdgeError(Exception):
    """The root of the tree. `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(SsktEdgeError):
    """The user's input is wrong."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe, or a --set, is wrong."""


class DataError(InputError):
    """A data set, a folder or an image is wrong."""


class CheckpointError(InputError):
    """Weights are missing, of other shapes, or want to run code."""


class NetworkError(InputError):
    """A target or source is unknown, or cannot take the given input."""


class RunError(InputError):
    """A run folder is missing, unfinished or broken."""


class BundleError(InputError):
    """A bundle is missing, changed, or not to be trusted."""


class StudyError(InputError):
    """A comparison or a sweep: its arms, its space, its folder or its storage is wrong."""


class MissingExtraError(InputError):
    """A package that this verb needs is not installed."""


class WorkError(SsktEdgeError):
    """The input was right, the work failed."""


class ParityError(WorkError):
    """Two sessions that should agree do not."""


class DivergenceError(WorkError):
    """The loss is not a finite number any more."""


class StorageError(WorkError):
    """The disk is full, or does not take the file."""


class DownloadError(WorkError):
    """Weights or data could not be fetched."""


class Interrupted(BaseException):
    """A signal came, `signum` 2 (SIGINT) or 15 (SIGTERM); what the message calls saved is saved."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum, self.exit_code = signum, 128 + signum


def nearest(name: str, known: Iterable[str]) -> str:
    """`Nearest: 'x'. ` if one of `known` is close to `name`, else nothing: a sentence for the middle of a message."""
    best = max(known, key=lambda other: closeness(name, other), default="")
    return f"Nearest: '{best}'. " if is_close(name, best) else ""


def is_close(name: str, other: str) -> bool:
    """Whether `other` may be what was meant by `name`."""
    return closeness(name, other)[0] >= _CLOSE


def closeness(name: str, other: str) -> tuple[float, int]:
    """How alike two names are, 0 to 1; of equally close ones the one that begins the same is closer."""
    # People mistake the end of a name.
    return difflib.SequenceMatcher(None, name, other).ratio(), len(os.path.commonprefix([name, other]))  # noqa: RUF071

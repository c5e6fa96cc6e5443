"""How much to measure in a benchmark: a total time, a number of runs, or a minimum of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sskt_edge.common.errors import InputError
from sskt_edge.evaluation.timing import Budget


@dataclass(frozen=True)
class Within:
    """All measurements, with their trials, take at most `seconds` in total; those that do not fit are left out."""

    seconds: float

    def __post_init__(self) -> None:
        """Refuse a value that is not a time."""
        if not 0 < self.seconds < math.inf:
            raise InputError(f"Time to measure: got {self.seconds} s, expected more than 0.")


@dataclass(frozen=True)
class Exactly:
    """Each measurement has exactly `runs` runs."""

    runs: int

    def __post_init__(self) -> None:
        """Refuse fewer than one run."""
        if self.runs < 1:
            raise InputError(f"Runs to measure: got {self.runs}, expected 1 or more.")


@dataclass(frozen=True)
class AtLeast:
    """Each measurement meets all of these minimums.

    Attributes:
        seconds: the total time of the runs themselves.
        runs: the number of runs with one image.
        images: the total number of images in runs of several images.
    """

    seconds: float
    runs: int
    images: int = 1

    def budget(self, batch: int) -> Budget:
        """The budget at one batch size."""
        return Budget(self.seconds, self.runs if batch == 1 else math.ceil(self.images / batch))

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        return {"at_least": {"seconds": self.seconds, "runs_of_one_image": self.runs, "images": self.images}}


Effort = Within | Exactly | AtLeast

# A minute for a bundle, including the time to open its files.
DEFAULT = Within(45.0)
# The minimums of MLPerf Inference v0.5: single-stream, 1,024 queries; offline, 24,576 samples; 60 s for both.
PUBLISHABLE = AtLeast(60.0, 1024, 24576)


def effort_of(seconds: float | None, runs: int | None, publishable: bool) -> Effort:
    """The effort that a user chose by one of three options, or the default.

    Raises:
        InputError: more than one of the options was given.
    """
    asked: list[Effort] = [Within(seconds)] if seconds is not None else []
    asked += [Exactly(runs)] if runs is not None else []
    asked += [PUBLISHABLE] if publishable else []
    if len(asked) > 1:
        raise InputError("--seconds, --runs and --publishable each set how much is measured: give only one of them.")
    return asked[0] if asked else DEFAULT

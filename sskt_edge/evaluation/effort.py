"""How much of a benchmark is enough: a time for all of it, a number of runs, or a least of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sskt_edge.common.errors import InputError
from sskt_edge.evaluation.timing import Budget


@dataclass(frozen=True)
class Within:
    """All measurements together take at most `seconds`, their trials included; what does not fit is left out."""

    seconds: float

    def __post_init__(self) -> None:
        """Refuse what is not a time."""
        if not 0 < self.seconds < math.inf:
            raise InputError(f"Time to measure: got {self.seconds} s, expected more than 0.")


@dataclass(frozen=True)
class Exactly:
    """Each measurement has exactly `runs` runs."""

    runs: int

    def __post_init__(self) -> None:
        """Refuse no run."""
        if self.runs < 1:
            raise InputError(f"Runs to measure: got {self.runs}, expected 1 or more.")


@dataclass(frozen=True)
class AtLeast:
    """Each measurement has at least all of it.

    Attributes:
        seconds: of the runs themselves, together.
        runs: of one image.
        images: in runs of several images, together.
    """

    seconds: float
    runs: int
    images: int = 1

    def budget(self, batch: int) -> Budget:
        """What is enough at one batch size."""
        return Budget(self.seconds, self.runs if batch == 1 else math.ceil(self.images / batch))

    def as_json(self) -> dict[str, Any]:
        """What as_json makes JSON of."""
        return {"at_least": {"seconds": self.seconds, "runs_of_one_image": self.runs, "images": self.images}}


Effort = Within | Exactly | AtLeast

# A minute for a bundle, with the time to open its files.
DEFAULT = Within(45.0)
# The minimums of MLPerf Inference v0.5: single-stream, 1,024 queries; offline, 24,576 samples; 60 s of both.
PUBLISHABLE = AtLeast(60.0, 1024, 24576)


def effort_of(seconds: float | None, runs: int | None, publishable: bool) -> Effort:
    """The effort that a user asks for by one of three options; none of them: the default.

    Raises:
        InputError: more than one of them.
    """
    asked: list[Effort] = [Within(seconds)] if seconds is not None else []
    asked += [Exactly(runs)] if runs is not None else []
    asked += [PUBLISHABLE] if publishable else []
    if len(asked) > 1:
        raise InputError("--seconds, --runs and --publishable each say how much is measured: give one of them.")
    return asked[0] if asked else DEFAULT

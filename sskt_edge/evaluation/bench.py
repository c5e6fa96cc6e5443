"""Measure how fast sessions run on this machine, each at several batch sizes, side by side."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import InputError, WorkError
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.evaluation.bench_plan import Group, Job, carry_out, plan
from sskt_edge.evaluation.effort import DEFAULT, AtLeast, Effort
from sskt_edge.evaluation.timing import Clock, Contender, Timing, timing_from_seconds
from sskt_edge.inference.session import Phases, Session, TimedSession

QUICK: Effort = AtLeast(seconds=0.5, runs=20)
"""The budget for timing a file while its answers are checked."""

_STEADY = 1.3


class Subject(NamedTuple):
    """A session to measure, and its name in a table."""

    name: str
    session: Session


@dataclass(frozen=True)
class Measurement:
    """One subject at one batch size.

    Attributes:
        subject: what was measured.
        batch: images per run.
        latency: the latency of one run, from uint8 images to float32 logits, both in the caller's memory.
        turns: the medians of the quickest and of the slowest turn, in seconds.
        phases: "copy_in", "compute" and "copy_out" of the same runs; empty if nothing is copied.
    """

    subject: Subject
    batch: int
    latency: Timing
    turns: tuple[float, float]
    phases: dict[str, Timing]

    @property
    def images_per_second(self) -> float:
        """All images divided by all seconds, one run after the other."""
        return self.batch / self.latency.mean

    @property
    def steady(self) -> bool:
        """Whether the machine's speed was steady."""
        return self.turns[1] <= _STEADY * self.turns[0]

    @property
    def copy(self) -> float | None:
        """The median seconds of both copies; None if nothing is copied."""
        return self.phases["copy_in"].p50 + self.phases["copy_out"].p50 if self.phases else None

    @property
    def compute(self) -> float | None:
        """The median seconds of the network alone; None if the session does not report it."""
        return self.phases["compute"].p50 if self.phases else None

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        session = self.subject.session
        return {
            "name": self.subject.name,
            **{name: getattr(session, name) for name in ("backend", "provider", "versions")},
            "batch": self.batch,
            "latency": self.latency,
            "turns_p50_ms": [seconds * 1e3 for seconds in self.turns],
            "images_per_second": self.images_per_second,
            "phases": self.phases or None,
        }


def bench(
    subjects: Sequence[Subject],
    images: npt.NDArray[np.uint8],
    batches: Sequence[int],
    effort: Effort = DEFAULT,
    progress: Progress = QUIET,
    clock: Clock = time.perf_counter,
) -> list[Measurement]:
    """Measure every subject at every batch size; the subjects take turns, and each run uses other images.

    Args:
        subjects: the subjects to measure; their names must differ.
        images: uint8 [N,*shape], any number.
        batches: images per run.
        effort: how much to measure.
        progress: draws the bars.
        clock: returns the time in seconds.

    Returns:
        The measurements, in the order of the batches, then of the subjects; those for which `effort` leaves no time
        are left out.

    Raises:
        InputError: no subject is given, two have the same name, a batch is larger than a session runs at once, or
            the effort has less time than one run takes.
        DataError: the images have another shape than a session takes.
        WorkError: logits are not finite numbers: a broken network is not measured.
    """
    entries = entries_of(subjects, images, batches)
    planned = plan(groups_of(entries), effort, progress, clock)
    carry_out(planned, progress, clock)
    return list(measurements_of(entries))


def quick_latency(
    subjects: Sequence[Subject],
    images: npt.NDArray[np.uint8],
    progress: Progress = QUIET,
    clock: Clock = time.perf_counter,
) -> dict[str, float]:
    """The median seconds of one image for each subject's name, measured in the same turns, with the budget `QUICK`.

    Raises:
        InputError: no subject is given, or two have the same name.
        DataError: the images have another shape than a session takes.
        WorkError: logits are not finite numbers.
    """
    found = bench(subjects, images, [1], QUICK, progress, clock)
    return {measured.subject.name: measured.latency.p50 for measured in found}


class Runs:
    """The runs of one subject, each on other images than the previous one."""

    def __init__(self, subject: Subject, feeds: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._name, session = subject
        self._timed = session.timed if isinstance(session, TimedSession) else None
        self._run = session.run
        self._feeds = itertools.cycle(feeds)
        self._logits = np.empty((0, 0), dtype=np.float32)
        self._turn: list[Phases] = []
        self.phases: list[Phases] = []

    def call(self) -> None:
        """One run, with the session's own report of its phases if it has one."""
        if self._timed is None:
            self._logits = self._run(next(self._feeds))
        else:
            self._logits, phases = self._timed(next(self._feeds))
            self._turn.append(phases)

    def after_turn(self, runs: int) -> None:
        """Keep the phases of the last `runs` runs, which count; refuse logits that are not finite."""
        self.phases += self._turn[len(self._turn) - runs :]
        self._turn.clear()
        if not np.isfinite(self._logits).all():
            raise WorkError(
                f"{self._name} returns logits that are not finite numbers; a broken network is not measured. "
                "To examine it: sskt-edge eval."
            )


class Entry(NamedTuple):
    """A subject at one batch size, with its runs."""

    subject: Subject
    runs: Runs
    job: Job


def entries_of(subjects: Sequence[Subject], images: npt.NDArray[np.uint8], batches: Sequence[int]) -> list[Entry]:
    """Every subject at every batch size, in the order of the batches; nothing is run.

    Raises:
        InputError: as `bench`.
    """
    _check(subjects, images, batches)
    found = []
    for batch in sorted(batches):
        feeds = _feeds(images, batch)
        for subject in subjects:
            runs = Runs(subject, feeds)
            found.append(Entry(subject, runs, Job(subject.name, batch, Contender(runs.call, runs.after_turn))))
    return found


def groups_of(entries: Sequence[Entry]) -> list[Group]:
    """The subjects at one batch size take turns."""
    by_batch = itertools.groupby((entry.job for entry in entries), key=lambda job: job.batch)
    return [Group(f"batch {batch}", list(jobs)) for batch, jobs in by_batch]


def measurements_of(entries: Sequence[Entry]) -> Iterator[Measurement]:
    """The measurements; an entry without a run that counts is left out."""
    for subject, runs, (_, batch, contender) in entries:
        if contender.turns:
            latency, turns = timing_from_seconds(contender.seconds), (min(contender.turns), max(contender.turns))
            yield Measurement(subject, batch, latency, turns, _timings(runs.phases))


def _timings(phases: Sequence[Phases]) -> dict[str, Timing]:
    return (
        {name: timing_from_seconds([getattr(one, name) for one in phases]) for name in Phases._fields} if phases else {}
    )


def _feeds(images: npt.NDArray[np.uint8], batch: int) -> list[npt.NDArray[np.uint8]]:
    """All images in batches of one size, starting again with the first if they do not suffice; at least two batches."""
    starts = range(0, max(len(images), 2 * batch), batch)
    return [images[np.arange(start, start + batch) % len(images)] for start in starts]


def _check(subjects: Sequence[Subject], images: npt.NDArray[np.uint8], batches: Sequence[int]) -> None:
    names = [subject.name for subject in subjects]
    if not names or len(set(names)) != len(names):
        raise InputError(
            f"To measure: got {', '.join(names) or 'nothing'}; expected one or more, with different names."
        )
    if len(images) == 0:
        raise InputError("Images to measure with: got none, expected at least one.")
    for (name, session), batch in itertools.product(subjects, batches):
        if not 1 <= batch <= session.max_batch:
            raise InputError(
                f"{name}: got a batch of {batch}, expected 1 to {session.max_batch}, the most that it runs at once."
            )

"""Plan a benchmark before it is run: a few calls of each contender show how many fit into its time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sskt_edge.common.errors import InputError
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.evaluation.effort import AtLeast, Effort, Exactly, Within
from sskt_edge.evaluation.timing import (
    SETTLE,
    TURN,
    Budget,
    Clock,
    Contender,
    Turns,
    no_garbage_collection,
    repeat,
    take_turns,
)

_TRIAL = 0.5  # most seconds for one contender
_TRIALS_SHARE = 0.1  # the trial's share of a contender's time
_UNCOUNTED = 4  # with so few calls, at most one is not counted


class Job(NamedTuple):
    """A contender to measure at one batch size.

    Attributes:
        name: the contender's name; together with the batch it is unique.
        batch: images per call.
        contender: what is called.
    """

    name: str
    batch: int
    contender: Contender

    @property
    def label(self) -> str:
        """Such as "fp32 onnxruntime-cpu, batch 8"."""
        return f"{self.name}, batch {self.batch}"


class Group(NamedTuple):
    """Jobs that take turns."""

    what: str
    jobs: Sequence[Job]


@dataclass(frozen=True)
class Plan:
    """What will be measured, and how long that takes.

    Attributes:
        groups: the groups in order, without the jobs that are left out.
        turns: label of a job → its turns.
        seconds: label of a job → the expected time of its calls, including those that do not count.
        left_out: label of a job → why it is not measured.
        deadline: the time on the clock when it must end.
    """

    groups: list[Group]
    turns: dict[str, Turns]
    seconds: dict[str, float]
    left_out: dict[str, str]
    deadline: float = math.inf

    @property
    def total(self) -> float:
        """The seconds of all jobs together."""
        return sum(self.seconds.values())


def plan(groups: Sequence[Group], effort: Effort, progress: Progress = QUIET, clock: Clock = time.perf_counter) -> Plan:
    """Try every job, and plan the number of its calls.

    Args:
        groups: the groups, smaller batches first: they show how long larger ones will take.
        effort: how much to measure.
        progress: draws a bar.
        clock: returns the time in seconds.

    Raises:
        InputError: no job has time for even one call.
    """
    deadline = clock() + effort.seconds if isinstance(effort, Within) else math.inf
    trials = _Trials(effort, deadline, clock)
    with progress.bar("warm-up", sum(len(group.jobs) for group in groups)) as bar, no_garbage_collection():
        for number, group in enumerate(groups):
            trials.leave_out_what_does_not_fit([job for later in groups[number:] for job in later.jobs])
            for job in group.jobs:
                trials.run(job)
                bar.advance()
    shares = trials.shares()
    kept = [Group(group.what, jobs) for group in groups if (jobs := [job for job in group.jobs if job.label in shares])]
    found = Plan(kept, {}, {}, trials.left_out, deadline)
    for group in kept:
        for job in group.jobs:
            took = trials.took[job.label]
            turns = _turns(effort, job.batch, took, shares[job.label], alone=len(group.jobs) == 1)
            found.turns[job.label] = turns
            found.seconds[job.label] = _calls(turns, took, alone=len(group.jobs) == 1) * took
    return found


def carry_out(planned: Plan, progress: Progress = QUIET, clock: Clock = time.perf_counter) -> None:
    """Measure what was planned, group by group."""
    ahead = planned.total
    for group in planned.groups:
        ahead -= sum(planned.seconds[job.label] for job in group.jobs)
        take_turns(
            [job.contender for job in group.jobs],
            [planned.turns[job.label] for job in group.jobs],
            deadline=planned.deadline - ahead,
            what=group.what,
            progress=progress,
            clock=clock,
        )


@dataclass
class _Trials:
    """The first calls of every job, which warm it up.

    Attributes:
        took: label of a job → seconds of a call.
        left_out: label → why.
    """

    effort: Effort
    deadline: float
    clock: Clock
    took: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _latest: dict[str, tuple[int, float]] = field(default_factory=dict)  # name → batch, seconds of a call
    _untried: int = 1

    def leave_out_what_does_not_fit(self, untried: Sequence[Job]) -> None:
        """Leave out untried jobs whose two calls, one of them uncounted, are not expected to fit."""
        self._untried = len(untried)
        left = self.deadline - self.clock() - sum(self.took.values())
        for job in sorted(untried, key=self._expected):
            expected = self._expected(job)
            left -= 2 * expected
            if expected and left < 0:
                self.left_out[job.label] = self._why(expected)
            else:
                self.left_out.pop(job.label, None)

    def run(self, job: Job) -> None:
        """Call a job a few times, or once if it is slow."""
        self._untried -= 1
        left = self.deadline - self.clock()
        if left <= 0:
            self.left_out.setdefault(job.label, "no time was left for it. Give more --seconds, or a number of --runs")
        if job.label in self.left_out:
            return
        share = left / (self._untried + 1 + len(self.took))
        (first,) = repeat(job.contender.call, Budget(0.0, 1), self.clock)
        took = first
        if first < share:
            start, most = self.clock(), min(_TRIAL, _TRIALS_SHARE * share)
            calls = 0
            while calls == 0 or (calls < self._most_calls() and self.clock() - start < most):
                job.contender.call()
                calls += 1
            took = (self.clock() - start) / calls
        if job.contender.after is not None:
            job.contender.after(0)
        self.took[job.label] = took
        self._latest[job.name] = job.batch, took

    def shares(self) -> dict[str, float]:
        """Label of each job that fits → its seconds: equal shares, and more only for a job whose one call needs it.

        Raises:
            InputError: no job fits.
        """
        if not isinstance(self.effort, Within):
            return dict.fromkeys(self.took, math.inf)
        left = self.deadline - self.clock()
        for label in sorted(self.took, key=lambda label: self.took[label], reverse=True):
            if sum(took for other, took in self.took.items() if other not in self.left_out) > left:
                self.left_out[label] = self._why(self.took[label])
        kept = {label: took for label, took in self.took.items() if label not in self.left_out}
        if not kept:
            takes = f"a run takes up to {max(self.took.values()):.2g} s here" if self.took else "no run was tried"
            raise InputError(
                f"{self.effort.seconds:g} s is too short: {takes}. Give more --seconds, or a number of --runs."
            )
        shares: dict[str, float] = {}
        for number, label in enumerate(sorted(kept, key=lambda label: kept[label], reverse=True)):
            shares[label] = max(kept[label], left / (len(kept) - number))
            left -= shares[label]
        return shares

    def _expected(self, job: Job) -> float:
        """The expected seconds of a call, judged by the same job at a smaller batch; 0 if that has not run at all."""
        batch, took = self._latest.get(job.name, (1, 0.0))
        return took * job.batch / batch

    def _most_calls(self) -> float:
        return self.effort.runs if isinstance(self.effort, Exactly) else math.inf

    def _why(self, seconds: float) -> str:
        return f"a run takes about {seconds:.2g} s, which does not fit. Give more --seconds, or a number of --runs"


def _turns(effort: Effort, batch: int, took: float, share: float, alone: bool) -> Turns:
    """The turns of a job with `share` seconds whose calls take `took` seconds each."""
    settle, turn = _count(SETTLE, took), _count(TURN, took)
    if isinstance(effort, AtLeast):
        return Turns(SETTLE, TURN, effort.budget(batch))
    if isinstance(effort, Exactly):
        return Turns(Budget(0.0, settle), Budget(0.0, turn), Budget(0.0, effort.runs))
    calls = max(1, int((share + 1e-9) / took)) if took else turn
    rounds = 1 if alone else calls // (settle + turn)
    if rounds == 0:
        rounds = 1
    if rounds == 1:
        settle = min(settle, calls // _UNCOUNTED)
    counted = calls // rounds - settle
    return Turns(Budget(0.0, settle), Budget(0.0, turn if alone else counted), Budget(0.0, rounds * counted))


def _calls(turns: Turns, took: float, alone: bool) -> int:
    """The number of calls in the turns, including those that do not count."""
    settle, turn, counted = (_count(part, took) for part in turns)
    return counted + settle * (1 if alone else math.ceil(counted / turn))


def _count(budget: Budget, took: float) -> int:
    """The number of calls of `took` seconds that meet the budget."""
    return max(budget.calls, math.ceil(budget.seconds / took - 1e-9) if took else 0)

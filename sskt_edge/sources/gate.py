"""The gate: an engine may run a source only if its answers agree with those of the source's reference."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import SsktEdgeError
from sskt_edge.common.progress import Progress
from sskt_edge.common.text import first_line
from sskt_edge.inference.session import Session
from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.fill_record import JudgeName
from sskt_edge.sources.judge import Distance, Judge, Logits

Open = Callable[[SourceEngine], Session]
"""Opens a source with an engine, for batches of one size."""


@dataclass(frozen=True)
class GateVerdict:
    """How fast an engine runs a source, how close it is to the reference, and whether that is close enough.

    Attributes:
        engine: the engine that was tried.
        provider: what really ran it, such as "cpu" or "cuda"; empty if it did not open.
        images_per_second: the median over the batches except the first, which is a warm-up; 0 if it does not run.
        kl: the mean KL(reference, engine) of what is judged at T = 1, in nats; infinite if it does not run.
        same: the share of equal decisions; of logits, the share of images with the same top class.
        agreement: the share of decisions that are equal, or that are in a near tie with the reference's.
        near_tie: the probability ratio from which two classes are in a near tie; see `sources.judge.agreement`.
        passed: whether it may be used.
        why: the reason, as a sentence.
        seconds_to_open: the time to open it, including the export if there was none from another engine.
        judge: what was judged: the source's own logits, or what a probe makes of them.
        labelled: the labelled images that the probe was fitted on; see `JudgedBy`.
        cosine: the mean cosine of features with the reference's; None for logits.
    """

    engine: SourceEngine
    provider: str
    images_per_second: float
    kl: float
    same: float
    agreement: float
    near_tie: float
    passed: bool
    why: str
    seconds_to_open: float
    judge: JudgeName = "logits"
    labelled: str = ""
    cosine: float | None = None

    @property
    def close(self) -> str:
        """How close it is to the reference, in words."""
        cosine = "" if self.cosine is None else f"cosine {self.cosine:.4f}, "
        return f"{cosine}KL {self.kl:.2g}, {self.agreement:.1%} agree"


IsEnough = Callable[[Sequence[GateVerdict]], bool]
"""Whether the verdicts so far are enough, so that no further engine is tried."""


@dataclass(frozen=True)
class _Trial:
    """The logits of an engine for every batch, or the reason why there are none."""

    provider: str = ""
    seconds_to_open: float = 0.0
    images_per_second: float = 0.0
    logits: Logits | None = None
    failure: str = ""


def try_engines(
    name: str,
    open_: Open,
    engines: Sequence[SourceEngine],
    batches: Sequence[NDArray[np.uint8]],
    judge: Judge,
    progress: Progress,
    is_enough: IsEnough | None = None,
) -> list[GateVerdict]:
    """A verdict on each of `engines`, in the same order. If an engine fails, its verdict says why.

    Args:
        name: the source's name.
        open_: opens it with an engine.
        engines: the engines; the first is the reference, which passes if it runs.
        batches: uint8 [B,size,size,3] each, all of one size. They are real views: noise says little about real views.
        judge: compares their answers, and knows the limits.
        progress: draws a bar for each trial.
        is_enough: whether to stop before the next engine, given the verdicts so far.
    """
    first = _try(name, open_, engines[0], batches, progress)
    distance_of = None if first.logits is None else judge.against(first.logits)
    shape = None if first.logits is None else first.logits.shape
    verdicts = [_verdict(engines[0], first, distance_of, shape, judge, is_reference=True)]
    for engine in engines[1:]:
        if is_enough is not None and is_enough(verdicts):
            break
        trial = _try(name, open_, engine, batches, progress)
        verdicts.append(_verdict(engine, trial, distance_of, shape, judge, is_reference=False))
    return verdicts


def speed_of_engine(
    name: str, open_: Open, engine: SourceEngine, batches: Sequence[NDArray[np.uint8]], progress: Progress
) -> float | None:
    """The images per second of an engine; None if it does not run."""
    return _try(name, open_, engine, batches, progress).images_per_second or None


def _try(
    name: str,
    open_: Open,
    engine: SourceEngine,
    batches: Sequence[NDArray[np.uint8]],
    progress: Progress,
) -> _Trial:
    """Open the engine and run every batch. A single batch is run twice, since the first run is not timed."""
    runs = batches if len(batches) > 1 else (*batches, *batches)
    answers, seconds = [], []
    start = time.perf_counter()
    try:
        with progress.bar(f"{name}, try {engine.name}", len(runs)) as bar:
            session = open_(engine)
            opened = time.perf_counter() - start
            for batch in runs:
                start = time.perf_counter()
                answers.append(session.run(batch))
                seconds.append(time.perf_counter() - start)
                bar.advance()
    except Exception as error:  # any error of its library, or out of memory; other engines may still work
        return _Trial(failure=_reason(error))
    speed = len(batches[0]) / float(np.median(seconds[1:]))
    return _Trial(session.provider, opened, speed, np.concatenate(answers[-len(batches) :]))


def _verdict(
    engine: SourceEngine,
    trial: _Trial,
    distance_of: Callable[[Logits], Distance] | None,
    shape: tuple[int, ...] | None,
    judge: Judge,
    *,
    is_reference: bool,
) -> GateVerdict:
    """The verdict on an engine; `shape` is that of the reference's logits."""
    distance = Distance(math.inf, 0.0, 0.0, ())
    if trial.logits is None:
        distance = distance._replace(reasons=(trial.failure,))
    elif distance_of is None or shape is None:
        distance = distance._replace(reasons=("it cannot be compared, since the reference does not run",))
    elif trial.logits.shape != shape:
        why = f"its output is {list(trial.logits.shape)}, but the reference's is {list(shape)}"
        distance = distance._replace(reasons=(why,))
    else:
        distance = distance_of(trial.logits)
    verdict = GateVerdict(
        engine=engine,
        provider=trial.provider,
        images_per_second=trial.images_per_second,
        kl=distance.kl,
        same=distance.same,
        agreement=distance.agreement,
        near_tie=judge.near_tie,
        passed=not distance.reasons,
        why="; ".join(distance.reasons) or ("the reference" if is_reference else ""),
        seconds_to_open=trial.seconds_to_open,
        judge=judge.by.judge,
        labelled=judge.by.labelled,
        cosine=distance.cosine,
    )
    return verdict if verdict.why else replace(verdict, why=verdict.close)


def _reason(error: Exception) -> str:
    """The whole message of an error of this package; for any other error, its class and first line."""
    return str(error) if isinstance(error, SsktEdgeError) else f"{type(error).__name__}: {first_line(error)}"

"""The gate: an engine may run a source only if its answers agree with those of the source's reference."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import SsktEdgeError
from sskt_edge.common.progress import Progress
from sskt_edge.common.text import first_line
from sskt_edge.recipe.models import GateOptions
from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.source import Source
from sskt_edge.tasks.softmax import log_softmax


@dataclass(frozen=True)
class GateVerdict:
    """How fast an engine runs a source, how close it is to the reference, and whether that is close enough.

    Attributes:
        engine: the engine that was tried.
        provider: what really ran it, such as "cpu" or "cuda"; empty if it did not open.
        images_per_second: the median over the batches except the first, which is a warm-up; 0 if it does not run.
        kl: the mean KL(reference, engine) of the softmax at T = 1, in nats; infinite if it does not run.
        same: the share of images with the same top class.
        agreement: the share of images with the same top class, or one in a near tie with it.
        near_tie: the probability ratio from which two classes are in a near tie; see `agreement`.
        passed: whether it may be used.
        why: the reason, as a sentence.
        seconds_to_open: the time to open it, including the export if there was none from another engine.
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


@dataclass(frozen=True)
class _Trial:
    """The logits of an engine for every batch, or the reason why there are none."""

    provider: str = ""
    seconds_to_open: float = 0.0
    images_per_second: float = 0.0
    logits: NDArray[np.float32] | None = None
    failure: str = ""


def divergence(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """KL(softmax(reference), softmax(logits)) at T = 1, in nats; infinite for logits that are not finite.

    [N,C], [N,C] → [N].
    """
    expected, given = log_softmax(reference), log_softmax(logits)
    apart = (np.exp(expected) * (expected - given)).sum(axis=1)
    finite = np.isfinite(reference).all(axis=1) & np.isfinite(logits).all(axis=1)
    return np.where(finite, np.maximum(apart, 0.0), math.inf)


def agreement(reference: NDArray[np.float32], logits: NDArray[np.float32], near_tie: float) -> float:
    """The share of rows whose top class is the reference's, or in a near tie with it. [N,C], [N,C] → number.

    A class is in a near tie if the reference gives it at least `near_tie` times the probability of its top class.
    Between two such classes rounding decides, and either is an equally good answer. With 1 only the top class counts.
    """
    first = logits.argmax(axis=1)
    if near_tie == 1:
        return float((first == reference.argmax(axis=1)).mean())
    behind = reference.max(axis=1) - reference[np.arange(len(logits)), first]
    return float((behind <= -math.log(near_tie)).mean())


def try_engines(
    source: Source,
    engines: Sequence[SourceEngine],
    batches: Sequence[NDArray[np.uint8]],
    gate: GateOptions,
    progress: Progress,
) -> list[GateVerdict]:
    """A verdict on each of `engines`, in the same order. If an engine fails, its verdict says why.

    Args:
        source: the source that is queried.
        engines: the engines; the first is the reference, which passes if it runs.
        batches: uint8 [B,size,size,3] each, all of one size. They are real views: noise says little about real views.
        gate: the recipe's limits.
        progress: draws a bar for each trial.
    """
    reference, verdicts = None, []
    for engine in engines:
        trial = _try(source, engine, batches, progress)
        if engine == engines[0]:
            reference = trial.logits
        verdicts.append(_judge(engine, trial, reference, engine == engines[0], gate))
    return verdicts


def _try(
    source: Source,
    engine: SourceEngine,
    batches: Sequence[NDArray[np.uint8]],
    progress: Progress,
) -> _Trial:
    """Open the engine and run every batch. A single batch is run twice, since the first run is not timed."""
    runs = batches if len(batches) > 1 else (*batches, *batches)
    answers, seconds = [], []
    start = time.perf_counter()
    try:
        with progress.bar(f"{source.name}, try {engine.name}", len(runs)) as bar:
            session = source.open(engine, batches[0].shape[1], len(batches[0]))
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


def _judge(
    engine: SourceEngine,
    trial: _Trial,
    reference: NDArray[np.float32] | None,
    is_reference: bool,
    gate: GateOptions,
) -> GateVerdict:
    kl, same, agreeing = math.inf, 0.0, 0.0
    if trial.logits is None:
        reasons = [trial.failure]
    elif reference is None:
        reasons = ["it cannot be compared, since the reference does not run"]
    elif trial.logits.shape != reference.shape:
        reasons = [f"its output is {list(trial.logits.shape)}, but the reference's is {list(reference.shape)}"]
    else:
        kl = float(divergence(reference, trial.logits).mean())
        same, agreeing = (agreement(reference, trial.logits, near_tie) for near_tie in (1, gate.near_tie))
        reasons = _too_far(kl, agreeing, gate)
    said = "the reference" if is_reference else f"KL {kl:.2g}, {agreeing:.1%} agree"
    return GateVerdict(
        engine=engine,
        provider=trial.provider,
        images_per_second=trial.images_per_second,
        kl=kl,
        same=same,
        agreement=agreeing,
        near_tie=gate.near_tie,
        passed=not reasons,
        why="; ".join(reasons) or said,
        seconds_to_open=trial.seconds_to_open,
    )


def _too_far(kl: float, agreeing: float, gate: GateOptions) -> list[str]:
    """The limits that an engine's distance from the reference exceeds."""
    reasons = []
    if not math.isfinite(kl):
        reasons.append("its logits are not all finite")
    elif kl > gate.kl:
        reasons.append(f"KL {kl:.2g} nats, but at most {gate.kl:g} is allowed")
    if agreeing < gate.agreement:
        reasons.append(f"{agreeing:.1%} agree, but at least {gate.agreement:.1%} is required")
    return reasons


def _reason(error: Exception) -> str:
    """The whole message of an error of this package; for any other error, its class and first line."""
    return str(error) if isinstance(error, SsktEdgeError) else f"{type(error).__name__}: {first_line(error)}"

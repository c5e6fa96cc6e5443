"""The gate: an engine may run a source only if it answers as the source's reference does."""

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
    """How fast an engine runs a source, how near it comes to the reference, and whether that is near enough.

    Attributes:
        engine: what was tried.
        provider: what really ran it: "cpu", "cuda"; nothing if it did not open.
        images_per_second: the median over the batches but the first, which warms up; 0 if it does not run.
        kl: mean KL(reference, engine) of the softmax at T = 1, in nats; infinite if it does not run.
        same: share of images with the same first class.
        agreement: share of images with the same first class, or one in a near tie with it.
        near_tie: from what on two classes are in one; see agreement.
        passed: whether it may be taken.
        why: the reason, a sentence.
        seconds_to_open: the export included, if none has been made for another engine.
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
    """What an engine did: its logits of every batch, or why there are none."""

    provider: str = ""
    seconds_to_open: float = 0.0
    images_per_second: float = 0.0
    logits: NDArray[np.float32] | None = None
    failure: str = ""


def divergence(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """KL(softmax(reference), softmax(logits)) at T = 1, in nats; infinite if not finite. [N,C], [N,C] → [N]."""
    expected, given = log_softmax(reference), log_softmax(logits)
    apart = (np.exp(expected) * (expected - given)).sum(axis=1)
    finite = np.isfinite(reference).all(axis=1) & np.isfinite(logits).all(axis=1)
    return np.where(finite, np.maximum(apart, 0.0), math.inf)


def agreement(reference: NDArray[np.float32], logits: NDArray[np.float32], near_tie: float) -> float:
    """Share of rows whose first class of `logits` is the reference's, or in a near tie with it. [N,C], [N,C] → number.

    In a near tie is a class that the reference holds for at least `near_tie` times as likely as its first one: between
    such two, rounding decides, and one is as good an answer as the other. With 1 the first class alone counts.
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
    """A verdict on each of `engines`, in their order. One that fails gets a verdict that says why.

    Args:
        source: the source that is asked.
        engines: the first is the reference, which passes if it runs.
        batches: uint8 [B,size,size,3] each, all alike; real views, since noise says little of real ones.
        gate: the recipe's limits.
        progress: shows each trial.
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
    """Open the engine and run every batch; a single one twice, since the first run is not timed."""
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
    except Exception as error:  # each library has its own, and out of memory; the others may still do
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
        reasons = ["there is nothing to compare it with, since the reference does not run"]
    elif trial.logits.shape != reference.shape:
        reasons = [f"it answers {list(trial.logits.shape)}, the reference {list(reference.shape)}"]
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
    """Where an engine is farther from the reference than it may be."""
    reasons = []
    if not math.isfinite(kl):
        reasons.append("its logits are not all finite")
    elif kl > gate.kl:
        reasons.append(f"KL {kl:.2g} nats, at most {gate.kl:g} allowed")
    if agreeing < gate.agreement:
        reasons.append(f"{agreeing:.1%} agree, at least {gate.agreement:.1%} asked")
    return reasons


def _reason(error: Exception) -> str:
    """The whole message of an error of this package; of any other, its class and first line."""
    return str(error) if isinstance(error, SsktEdgeError) else f"{type(error).__name__}: {first_line(error)}"

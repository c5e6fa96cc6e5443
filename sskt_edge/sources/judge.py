"""Judges: they say how far an engine's answers are from the reference's, and whether that is close enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.fill_record import GateRecord, JudgedBy
from sskt_edge.tasks.softmax import log_softmax

Logits = NDArray[np.float32]


class Distance(NamedTuple):
    """How far an engine is from the reference.

    Attributes:
        kl: the mean KL(reference, engine), in nats; infinite if a logit is not finite.
        same: the share of equal decisions.
        agreement: the share of decisions that are equal, or that count as equal.
        reasons: why the engine is refused; empty if it passes.
        cosine: the mean cosine of features with the reference's; None for logits.
    """

    kl: float
    same: float
    agreement: float
    reasons: tuple[str, ...]
    cosine: float | None = None


class Judge(Protocol):
    """What judges engines by the answers that will be used.

    Attributes:
        by: the kind of its findings, as it is kept with the labels.
        near_tie: the probability ratio from which two classes are in a near tie; 0 if it knows no logits' ties.
        remark: a remark for the user before engines are tried, or "".
        limits: its limits in words.
    """

    @property
    def by(self) -> JudgedBy: ...  # noqa: D102
    @property
    def near_tie(self) -> float: ...  # noqa: D102
    @property
    def remark(self) -> str: ...  # noqa: D102
    @property
    def limits(self) -> str: ...  # noqa: D102

    def against(self, reference: Logits) -> Callable[[Logits], Distance]:
        """The distance of other logits from the reference's, both for the gate's views. [N,C] → ([N,C] → Distance)."""

    @property
    def believes(self) -> tuple[JudgedBy, ...]:
        """The kinds of kept findings that count for it."""

    def accepts(self, record: GateRecord) -> bool:
        """Whether an engine with this finding, of a kind that it believes, would pass today."""


@dataclass(frozen=True)
class LogitsJudge:
    """Judges the source's own logits by their softmax over the source's classes, for whoever learns them.

    Attributes:
        gate: the limits.
        remark: a remark for the user before engines are tried.
    """

    gate: GateOptions = field(default_factory=GateOptions)
    remark: str = ""

    by = JudgedBy("logits")

    @property
    def near_tie(self) -> float:
        """The recipe's."""
        return self.gate.near_tie

    @property
    def limits(self) -> str:
        """Its limits in words."""
        return f"KL at most {self.gate.kl:g}, agreement at least {self.gate.agreement:.1%}"

    def against(self, reference: Logits) -> Callable[[Logits], Distance]:
        """The distance of other logits from these. [N,C] → ([N,C] → Distance)."""

        def distance(logits: Logits) -> Distance:
            kl = float(divergence(reference, logits).mean())
            same, agreeing = (agreement(reference, logits, near_tie) for near_tie in (1, self.gate.near_tie))
            return Distance(kl, same, agreeing, too_far(kl, agreeing, self.gate.kl, self.gate.agreement))

        return distance

    @property
    def believes(self) -> tuple[JudgedBy, ...]:
        """Findings about logits alone: close to a probe is not close in a thousand classes."""
        return (self.by,)

    def accepts(self, record: GateRecord) -> bool:
        """Whether the limits of today accept it."""
        return (
            record.judged_by == self.by
            and record.kl <= self.gate.kl
            and record.agreement >= self.gate.agreement
            and record.near_tie >= self.gate.near_tie
        )


def too_far(kl: float, agreeing: float, most: float, least: float) -> tuple[str, ...]:
    """The limits that a distance exceeds: KL at most `most`, agreement at least `least`."""
    reasons = []
    if not math.isfinite(kl):
        reasons.append("its logits are not all finite")
    elif kl > most:
        reasons.append(f"KL {kl:.2g} nats, but at most {most:g} is allowed")
    if agreeing < least:
        reasons.append(f"{agreeing:.1%} agree, but at least {least:.1%} is required")
    return tuple(reasons)


def divergence(reference: Logits, logits: Logits) -> NDArray[np.float64]:
    """KL(softmax(reference), softmax(logits)) at T = 1, in nats; infinite for logits that are not finite.

    [N,C], [N,C] → [N].
    """
    expected, given = log_softmax(reference), log_softmax(logits)
    apart = (np.exp(expected) * (expected - given)).sum(axis=1)
    finite = np.isfinite(reference).all(axis=1) & np.isfinite(logits).all(axis=1)
    return np.where(finite, np.maximum(apart, 0.0), math.inf)


def agreement(reference: Logits, logits: Logits, near_tie: float) -> float:
    """The share of rows whose top class is the reference's, or in a near tie with it. [N,C], [N,C] → number.

    A class is in a near tie if the reference gives it at least `near_tie` times the probability of its top class.
    Between two such classes rounding decides, and either is an equally good answer. With 1 only the top class counts.
    """
    first = logits.argmax(axis=1)
    if near_tie == 1:
        return float((first == reference.argmax(axis=1)).mean())
    behind = reference.max(axis=1) - reference[np.arange(len(logits)), first]
    return float((behind <= -math.log(near_tie)).mean())

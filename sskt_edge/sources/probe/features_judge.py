"""The judge of engines that give features: their cosine with the reference's, and what a probe makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.fill_record import GateRecord, JudgedBy
from sskt_edge.sources.judge import Distance, Logits, too_far
from sskt_edge.sources.probe.judge import ProbeJudge


class FeaturesJudge:
    """Judges features, which have no softmax.

    Args:
        probe: judges what a probe makes of them; None if none can be held out. Then the cosine alone decides, and KL
            and agreement are those of equal answers.
        gate: the limits.
        remark: a remark for the user before engines are tried, or "".
    """

    near_tie = 0.0

    def __init__(self, probe: ProbeJudge | None, gate: GateOptions, remark: str = "") -> None:
        self._probe, self._gate, self.remark = probe, gate, remark
        self.by = JudgedBy("features", probe.by.labelled if probe else "")

    @property
    def limits(self) -> str:
        """Its limits in words."""
        cosine = f"cosine at least {self._gate.cosine:g}"
        return cosine if self._probe is None else f"{cosine}, {self._probe.limits}"

    def against(self, reference: Logits) -> Callable[[Logits], Distance]:
        """The distance of other features from these. [N,D] → ([N,D] → Distance)."""
        of_probe = None if self._probe is None else self._probe.against(reference)

        def distance(features: Logits) -> Distance:
            if not (np.isfinite(features).all() and np.isfinite(reference).all()):
                return Distance(np.inf, 0.0, 0.0, too_far(np.inf, 1.0, 0.0, 0.0), 0.0)
            near = mean_cosine(reference, features)
            apart = Distance(0.0, 1.0, 1.0, ()) if of_probe is None else of_probe(features)
            reasons = apart.reasons
            if near < self._gate.cosine:
                reasons = (f"cosine {near:.4f}, but at least {self._gate.cosine:g} is required", *reasons)
            return apart._replace(reasons=reasons, cosine=near)

        return distance

    @property
    def believes(self) -> tuple[JudgedBy, ...]:
        """Findings about features, by a probe of the same labelled images."""
        return (self.by,)

    def accepts(self, record: GateRecord) -> bool:
        """Whether the limits of today accept it."""
        near = record.cosine is not None and record.cosine >= self._gate.cosine
        is_close = record.kl <= self._gate.probe_kl and record.agreement >= self._gate.probe_agreement
        return record.judged_by == self.by and near and is_close


def mean_cosine(reference: Logits, features: Logits) -> float:
    """The mean cosine of the rows of two arrays. [N,D], [N,D] → number; a row of zeros has 1 with another such row.

    >>> mean_cosine(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 0.0]]))
    1.0
    """
    ours, theirs = (np.asarray(part, dtype=np.float64) for part in (reference, features))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    both_zero = ~ours.any(axis=1) & ~theirs.any(axis=1)
    cosines = np.where(both_zero, 1.0, (ours * theirs).sum(axis=1) / np.maximum(lengths, 1e-30))
    return float(cosines.mean())

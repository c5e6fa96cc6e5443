"""The judge of engines whose answers only a probe reads: it compares what a probe makes of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.common.progress import QUIET
from sskt_edge.data.images import ImageSet
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.fill_record import GateRecord, JudgedBy
from sskt_edge.sources.judge import Distance, Logits, LogitsJudge, too_far
from sskt_edge.sources.probe.fit import fit_probe_on
from sskt_edge.sources.probe.folds import folds_of
from sskt_edge.sources.probe.probe import Probe
from sskt_edge.sources.source import Outputs
from sskt_edge.tasks.task import Task

_UNABLE = "the probe on the reference's logits is no better than chance on the gate's views, so it cannot judge"


class ProbeJudge:
    """Judges by a probe that is fitted on the reference's logits of the gate's views.

    Each view is judged by the layer that has seen no view of its image. What counts is the task's own: the share of
    equal decisions and the divergence of the probabilities.

    Args:
        task: the task that says what the labels mean.
        images: the labelled training images.
        classes: the names of the classes.
        rows: the image of each of the gate's views, [N].
        gate: the limits.
        outputs: what the source gives.

    Raises:
        DataError: a class has fewer than two different images among the gate's views.
    """

    near_tie = 0.0
    remark = ""

    def __init__(
        self,
        task: Task,
        images: ImageSet,
        classes: Sequence[str],
        rows: NDArray[np.intp],
        gate: GateOptions,
        outputs: Outputs = "logits",
    ) -> None:
        seen, self._rows = np.unique(rows, return_inverse=True)
        names = tuple(images.names[row] for row in seen)
        self._images = ImageSet({}, images.labels[seen], images.hashes[seen], names)
        self._folds = folds_of(task, self._images, classes)
        self._task, self._classes, self._gate = task, classes, gate
        self._features = ("source",) if outputs == "features" else ()
        self.by = JudgedBy("probe", labelled_identity(task, images, classes))
        self._logits = LogitsJudge(gate)

    @property
    def limits(self) -> str:
        """Its limits in words."""
        return f"a probe's KL at most {self._gate.probe_kl:g}, agreement at least {self._gate.probe_agreement:.1%}"

    def against(self, reference: Logits) -> Callable[[Logits], Distance]:
        """The distance of other logits from these, as the probe sees them. [N,C] → ([N,C] → Distance)."""
        if not np.isfinite(reference).all():
            return lambda _: Distance(math.inf, 0.0, 0.0, too_far(math.inf, 1.0, 0.0, 0.0))
        labels, logits = self._images.labels, {"source": reference}
        probe = fit_probe_on(self._task, labels, self._folds, self._rows, logits, self._classes, QUIET, self._features)
        able = probe.facts[0].is_better_than_chance
        expected = self._held_out(probe, reference)

        def distance(logits: Logits) -> Distance:
            given = self._held_out(probe, logits)
            apart = self._task.divergence(torch.from_numpy(given), torch.from_numpy(expected), 1.0)
            kl = max(float(apart.mean()), 0.0) if np.isfinite(given).all() else math.inf
            same = self._task.agreement(expected, given).share
            reasons = too_far(kl, same, self._gate.probe_kl, self._gate.probe_agreement)
            exact = np.array_equal(reference, logits)
            return Distance(kl, same, same, reasons if able or exact else (*reasons, _UNABLE))

        return distance

    @property
    def believes(self) -> tuple[JudgedBy, ...]:
        """Findings of a probe of the same labelled images, and those about logits, which ask for more."""
        return (self.by, self._logits.by)

    def accepts(self, record: GateRecord) -> bool:
        """Whether the limits of today accept it."""
        if record.judged_by == self.by:
            return record.kl <= self._gate.probe_kl and record.agreement >= self._gate.probe_agreement
        return self._logits.accepts(record)

    def _held_out(self, probe: Probe, logits: Logits) -> Logits:
        """The probe's logits for each view, by the layer that has not seen its image. [N,C] → [N,K]."""
        with np.errstate(invalid="ignore"):  # what is not finite is found in the result
            return probe.logits(logits, self._folds[self._rows])


def labelled_identity(task: Task, images: ImageSet, classes: Sequence[str]) -> str:
    """The SHA-256, in hex, of the labelled images and what their labels mean, independent of their order."""
    digest = hashlib.sha256("\0".join((task.name, *classes)).encode())
    pairs = zip(images.hashes, images.labels, strict=True)
    for one in sorted(content.tobytes() + label.tobytes() for content, label in pairs):
        digest.update(one)
    return digest.hexdigest()

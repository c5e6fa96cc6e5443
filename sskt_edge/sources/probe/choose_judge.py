"""Choose the judge of an engine whose answers only a probe reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.judge import Judge, LogitsJudge
from sskt_edge.sources.probe.features_judge import FeaturesJudge
from sskt_edge.sources.probe.folds import too_few
from sskt_edge.sources.probe.judge import ProbeJudge
from sskt_edge.sources.source import Outputs
from sskt_edge.tasks.task import Task


def judge_for_probe(
    task: Task,
    images: ImageSet,
    classes: Sequence[str],
    rows: NDArray[np.intp],
    gate: GateOptions,
    outputs: Outputs = "logits",
) -> Judge:
    """The judge of engines whose answers only a probe reads; it judges the answers alone if no probe can be held out.

    Args:
        task: the task that says what the labels mean.
        images: the labelled training images.
        classes: the names of the classes.
        rows: the image of each of the gate's views, [N].
        gate: the limits.
        outputs: what the source gives.
    """
    seen = np.unique(rows)
    few = too_few(task, images.labels[seen], images.hashes[seen], classes)
    if not few:
        probe = ProbeJudge(task, images, classes, rows, gate, outputs)
        return probe if outputs == "logits" else FeaturesJudge(probe, gate)
    have = f"and {len(few) - 1} more have" if len(few) > 1 else "has"
    remark = (
        f"engines are judged by their {outputs} alone, not by a probe: class '{few[0]}' {have} fewer than two "
        f"different images among the gate's {len(rows)} views"
    )
    return LogitsJudge(gate, remark) if outputs == "logits" else FeaturesJudge(None, gate, remark)

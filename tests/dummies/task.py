"""A task: one class an image, measured by the mean of the classes' own shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sskt_edge.tasks.accuracy import AnswerScores
from sskt_edge.tasks.single_label import SINGLE_LABEL, SingleLabel
from sskt_edge.tasks.task import Labels, Logits


@dataclass(frozen=True, eq=False)
class BalancedScores(AnswerScores):
    @property
    def metric(self) -> str:
        return BALANCED.metric


class Balanced(SingleLabel):
    name = "balanced"
    metric = "balanced accuracy"

    def value(self, logits: Logits, labels: Labels) -> float:
        return self.scores(logits, labels, logits.shape[1]).value

    def scores(self, logits: Logits, labels: Labels, classes: int) -> BalancedScores:
        found = SINGLE_LABEL.scores(logits, labels, classes)
        value = float(np.nanmean(found.per_class))
        return BalancedScores(**{**vars(found), "value": value})


BALANCED = Balanced()

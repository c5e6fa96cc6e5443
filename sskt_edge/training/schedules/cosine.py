"""A half cosine from the recipe's learning rate to 0, updated every step, after a linear warm-up."""

from __future__ import annotations

import math

from sskt_edge.recipe.optimization import Cosine
from sskt_edge.training.schedules.schedule import Place, Schedule, ScheduleState


class CosineSchedule(Schedule):
    """A schedule that depends only on the step."""

    def __init__(self, options: Cosine, base: float) -> None:
        self._warmup_epochs, self._base = options.warmup_epochs, base

    def rate(self, place: Place, state: ScheduleState) -> float:
        """The rate, which rises to the recipe's rate at the end of the warm-up and reaches 0 after the last step."""
        del state
        total = place.epochs * place.steps_per_epoch
        warmup = min(self._warmup_epochs * place.steps_per_epoch, total - 1)
        if place.step < warmup:
            return self._base * (place.step + 1) / warmup
        return self._base * 0.5 * (1 + math.cos(math.pi * (place.step - warmup) / (total - warmup)))

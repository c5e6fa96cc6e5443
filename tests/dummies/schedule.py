"""A schedule that halves the rate in the last epoch."""

from __future__ import annotations

from typing import Literal

from sskt_edge.recipe.optimization import ScheduleOptions
from sskt_edge.training.schedules.schedule import Place, Schedule, ScheduleState


class LateOptions(ScheduleOptions):
    """The options of train.schedule."""

    name: Literal["late"] = "late"


class LateSchedule(Schedule):
    def __init__(self, options: LateOptions, base: float) -> None:
        self._base = base

    def rate(self, place: Place, state: ScheduleState) -> float:
        return self._base / (2 if place.step >= (place.epochs - 1) * place.steps_per_epoch else 1)

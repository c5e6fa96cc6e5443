"""Multiply the recipe's learning rate by gamma at every milestone."""

from __future__ import annotations

from sskt_edge.recipe.optimization import Steps
from sskt_edge.training.schedules.schedule import Place, Schedule, ScheduleState


class StepsSchedule(Schedule):
    """A schedule that depends only on the epoch."""

    def __init__(self, options: Steps, base: float) -> None:
        self._options, self._base = options, base

    def rate(self, place: Place, state: ScheduleState) -> float:
        """The recipe's rate times gamma for every milestone that the step's epoch has reached."""
        del state
        epoch = place.step // place.steps_per_epoch
        return self._base * self._options.gamma ** sum(epoch >= milestone for milestone in self._options.milestones)

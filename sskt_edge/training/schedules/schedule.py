"""The interface of schedules. They keep no state of their own: it is part of the training's state."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from sskt_edge.catalogue.optimization import SCHEDULES
from sskt_edge.recipe.optimization import ScheduleOptions


class Place(NamedTuple):
    """The position of a step in a training.

    Attributes:
        step: the step, counted over all epochs, from 0.
        steps_per_epoch: the number of steps of an epoch.
        epochs: the number of epochs.
    """

    step: int
    steps_per_epoch: int
    epochs: int


class ScheduleState(BaseModel):
    """A schedule's state after the validations so far; most schedules do not use it.

    Attributes:
        best: the smallest validation loss; None before the first one.
        bad: the number of validations without a smaller loss since then, or since the rate was lowered.
        rate: the learning rate; None while it is the recipe's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    best: float | None = None
    bad: int = 0
    rate: float | None = None


class Schedule:
    """A schedule. Its class in the catalogue makes it from its table in the recipe and the recipe's learning rate."""

    def rate(self, place: Place, state: ScheduleState) -> float:
        """The learning rate of a step."""
        raise NotImplementedError

    def after_validation(self, state: ScheduleState, loss: float) -> ScheduleState:
        """The state after one more validation, which gave this loss."""
        del loss
        return state


def build_schedule(options: ScheduleOptions, base: float) -> Schedule:
    """The schedule that a recipe names, for the learning rate `base`."""
    schedule: Schedule = SCHEDULES[options.name].load()(options, base)
    return schedule

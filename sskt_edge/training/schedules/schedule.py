"""What the loop asks of a schedule. It keeps nothing: what must be remembered is in the training's state."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from sskt_edge.catalogue.optimization import SCHEDULES
from sskt_edge.recipe.optimization import ScheduleOptions


class Place(NamedTuple):
    """A step of a training.

    Attributes:
        step: counted over all epochs, from 0.
        steps_per_epoch: how many an epoch has.
        epochs: of the training.
    """

    step: int
    steps_per_epoch: int
    epochs: int


class ScheduleState(BaseModel):
    """What a schedule remembers of the validations so far; most remember nothing.

    Attributes:
        best: the smallest validation loss; None before the first one.
        bad: validations since then, or since the rate was lowered, without a smaller loss.
        rate: the learning rate; None while it is the recipe's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    best: float | None = None
    bad: int = 0
    rate: float | None = None


class Schedule:
    """A schedule, made by its class in the catalogue from its table in the recipe and the recipe's rate."""

    def rate(self, place: Place, state: ScheduleState) -> float:
        """The learning rate of a step."""
        raise NotImplementedError

    def after_validation(self, state: ScheduleState, loss: float) -> ScheduleState:
        """What is to be remembered after one more validation, which gave this loss."""
        del loss
        return state


def build_schedule(options: ScheduleOptions, base: float) -> Schedule:
    """The schedule that a recipe names, for the rate `base`."""
    schedule: Schedule = SCHEDULES[options.name].load()(options, base)
    return schedule

"""Lower the learning rate when the validation loss stops falling."""

from __future__ import annotations

from sskt_edge.recipe.optimization import Plateau
from sskt_edge.training.schedules.schedule import Place, Schedule, ScheduleState

# The smallest reduction of a rate, as in torch's ReduceLROnPlateau.
_LEAST_STEP = 1e-8


class PlateauSchedule(Schedule):
    """The rule of torch's ReduceLROnPlateau: mode "min", threshold "rel", no cooldown."""

    def __init__(self, options: Plateau, base: float) -> None:
        self._options, self._base = options, base

    def rate(self, place: Place, state: ScheduleState) -> float:
        """The rate after the validations so far."""
        del place
        return self._base if state.rate is None else state.rate

    def after_validation(self, state: ScheduleState, loss: float) -> ScheduleState:
        """The state after one more validation. NaN does not count as a smaller loss."""
        rule, rate = self._options, self._base if state.rate is None else state.rate
        if loss < (float("inf") if state.best is None else state.best * (1 - rule.threshold)):
            return ScheduleState(best=loss, bad=0, rate=rate)
        if state.bad < rule.patience:
            return ScheduleState(best=state.best, bad=state.bad + 1, rate=rate)
        lower = max(rate * rule.factor, rule.min_lr)
        return ScheduleState(best=state.best, bad=0, rate=lower if rate - lower > _LEAST_STEP else rate)

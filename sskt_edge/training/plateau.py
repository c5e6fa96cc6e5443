"""Lower the rate when the validation loss stops falling; all that the rule remembers is in a training's state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sskt_edge.recipe.optimization import Plateau

# torch's ReduceLROnPlateau does not lower a rate by less.
_LEAST_STEP = 1e-8


class PlateauState(BaseModel):
    """Where the rule stands after the validations so far.

    Attributes:
        best: the smallest validation loss; None before the first one.
        bad: validations since then, or since the rate was lowered, without a smaller loss.
        rate: the learning rate; None while it is the recipe's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    best: float | None = None
    bad: int = 0
    rate: float | None = None


def after_validation(state: PlateauState, rule: Plateau, base: float, loss: float) -> PlateauState:
    """The state after one more validation, as torch's ReduceLROnPlateau: mode "min", threshold "rel", no cooldown.

    Args:
        state: before it.
        rule: the recipe's.
        base: the recipe's learning rate.
        loss: on the validation images; one that is not a number is not smaller.
    """
    rate = base if state.rate is None else state.rate
    if loss < (float("inf") if state.best is None else state.best * (1 - rule.threshold)):
        return PlateauState(best=loss, bad=0, rate=rate)
    if state.bad < rule.patience:
        return PlateauState(best=state.best, bad=state.bad + 1, rate=rate)
    lower = max(rate * rule.factor, rule.min_lr)
    return PlateauState(best=state.best, bad=0, rate=lower if rate - lower > _LEAST_STEP else rate)

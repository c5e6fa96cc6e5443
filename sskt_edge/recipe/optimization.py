"""The keys of a recipe for the optimizer and its learning rate."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from sskt_edge.recipe.part import Part, Share


class OptimizerOptions(Part):
    """The table train.optimizer; each optimizer adds its keys in a model of its own."""

    name: str
    lr: float = Field(gt=0, description="the initial learning rate of the schedule")


class ScheduleOptions(Part):
    """The table train.schedule; each schedule adds its keys in a model of its own.

    Attributes:
        needs_validation: whether it uses the loss on validation images.
    """

    needs_validation: ClassVar[bool] = False

    name: str


class Sgd(OptimizerOptions):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    dampening: Share = Field(
        0.0, description="the share of each gradient, after the first, that is not added to the momentum"
    )
    weight_decay: float = Field(5e-4, ge=0)
    nesterov: bool = False

    @model_validator(mode="after")
    def _goes_together(self) -> Sgd:
        if self.dampening > 0 and self.momentum == 0:
            raise ValueError(f"dampening = {self.dampening:g} has no effect without momentum; leave it out")
        if self.nesterov and (self.momentum == 0 or self.dampening > 0):
            raise ValueError(
                f"nesterov needs momentum > 0 and dampening = 0; got momentum = {self.momentum:g}, "
                f"dampening = {self.dampening:g}"
            )
        return self


class AdamW(OptimizerOptions):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    betas: tuple[Share, Share] = (0.9, 0.999)
    weight_decay: float = Field(0.05, ge=0)


class Cosine(ScheduleOptions):
    """Half a cosine from lr to 0, step by step, after a linear warm-up."""

    name: Literal["cosine"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0)


class Steps(ScheduleOptions):
    """lr times gamma at every milestone, given in epochs."""

    name: Literal["steps"] = "steps"
    milestones: tuple[Annotated[int, Field(ge=1)], ...]
    gamma: float = Field(0.2, gt=0, le=1)

    @model_validator(mode="after")
    def _ascending(self) -> Steps:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must be in ascending order")
        return self


class Plateau(ScheduleOptions):
    """lr times factor when the loss on the validation images has stopped falling.

    The rule of torch's ReduceLROnPlateau (mode "min"). The loss is the task's cross-entropy alone, in fp32.
    """

    needs_validation: ClassVar[bool] = True

    name: Literal["plateau"] = "plateau"
    patience: int = Field(
        10,
        ge=0,
        description="validations in a row without a smaller loss before lr is lowered at the next one",
    )
    factor: float = Field(0.1, gt=0, lt=1, description="the factor that lr is multiplied by")
    threshold: Share = Field(
        1e-4, description="a loss counts as smaller if it is below (1 - threshold) times the smallest so far"
    )
    min_lr: float = Field(0.0, ge=0, description="lr is never lowered below this")

"""A method that also pulls the logits to zero: no sources, one option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sskt_edge.methods.learner import Learner, Outputs, TaskLoss, TaughtBy
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.targets.spec import TargetSpec


class CalmOptions(MethodOptions):
    """The options of [method]."""

    asks_sources: ClassVar[bool] = False

    name: Literal["calm"] = "calm"
    pull: float = Field(0.5, ge=0, description="the weight of the logits' squares")


class CalmLearner(Learner):
    """The task's loss plus `pull` times the mean square of the logits."""

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        del soft
        primary, calm = task.loss(outputs.primary, labels), outputs.primary.float().square().mean()
        return {"primary": primary, "calm": calm, "total": primary + self.weights["calm"] * calm}


def calm_learner(
    options: CalmOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
) -> CalmLearner:
    del spec, sources
    return CalmLearner(primary, {"calm": options.pull})

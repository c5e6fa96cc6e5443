"""The learner of a training from scratch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sskt_edge.methods.learner import Learner, Outputs, TaskLoss, TaughtBy
from sskt_edge.methods.scratch.options import ScratchOptions
from sskt_edge.targets.spec import TargetSpec


class ScratchLearner(Learner):
    """A learner with only the task's loss."""

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        """The task's loss, as "primary" and as "total"."""
        del soft
        loss = task.loss(outputs.primary[: len(labels)], labels)
        return {"primary": loss, "total": loss}


def scratch_learner(
    options: ScratchOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
) -> ScratchLearner:
    """The learner of a training without sources."""
    del options, spec, sources
    return ScratchLearner(primary, {})

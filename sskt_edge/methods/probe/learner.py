"""The learner of the probe method: the task's loss, the divergence from the probe, and branches if there are any."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sskt_edge.methods.learner import Outputs, TaskLoss, TaughtBy
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.methods.sskt.learner import SsktLearner
from sskt_edge.methods.sskt.options import BranchOptions
from sskt_edge.targets.spec import TargetSpec

PROBE = "probe"


class ProbeLearner(SsktLearner):
    """A target that learns from a probe; its logits for B + U images are in `soft["probe"]`, [B+U,K]."""

    def __init__(
        self, options: ProbeOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
    ) -> None:
        """Attach branches for the sources if the options have any."""
        super().__init__(options.branches or BranchOptions(), primary, spec, sources if options.branches else {})
        self.weights = {PROBE: options.alpha, **self.weights}
        self._temperature = options.temperature

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        """The task's loss on labelled images, plus α·T²·KL(probe ‖ primary) on all images, plus those of branches.

        Hinton et al., 2015, section 2: T² keeps the size of the gradient when T changes.
        """
        terms = super().losses(outputs, labels, soft, task)
        divergence = task.divergence(outputs.primary, soft[PROBE], self._temperature)
        terms[PROBE] = self._temperature**2 * divergence.mean()
        terms["total"] = terms["total"] + self.weights[PROBE] * terms[PROBE]
        return terms


def probe_learner(
    options: ProbeOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
) -> ProbeLearner:
    """The learner of a training with a probe."""
    return ProbeLearner(options, primary, spec, sources)

"""The learner of the probe method: the task's loss, the distance from the probe, and branches if there are any."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sskt_edge.methods.learner import Outputs, TaskLoss, TaughtBy
from sskt_edge.methods.probe.losses.correlation import correlation
from sskt_edge.methods.probe.losses.decoupled import decoupled
from sskt_edge.methods.probe.losses.standardised import standardised
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.methods.sskt.learner import SsktLearner
from sskt_edge.methods.sskt.options import BranchOptions
from sskt_edge.sources.probe.probe_logits import PROBE
from sskt_edge.targets.spec import TargetSpec

# For one class per image. "kl" is the task's own divergence, which every task has.
_LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "dkd": decoupled,
    "dist": correlation,
    "standardised": standardised,
}


class ProbeLearner(SsktLearner):
    """A target that learns from a probe; its logits for B + U images are in `soft["probe"]`, [B+U,K]."""

    def __init__(
        self, options: ProbeOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
    ) -> None:
        """Attach branches for the sources if the options have any."""
        super().__init__(options.branches or BranchOptions(), primary, spec, sources if options.branches else {})
        self.weights = {PROBE: options.alpha, **self.weights}
        self._probe = options

    def losses(self, outputs: Outputs, labels: Tensor, soft: Mapping[str, Tensor], task: TaskLoss) -> dict[str, Tensor]:
        """The task's loss on labelled images, plus α·T²·KL(probe ‖ primary) on all images, plus those of branches.

        Hinton et al., 2015, section 2: T² keeps the size of the gradient when T changes.
        """
        terms = super().losses(outputs, labels, soft, task)
        terms[PROBE] = self._probe.temperature**2 * self._distance(outputs.primary, soft[PROBE], len(labels), task)
        terms["total"] = terms["total"] + self.weights[PROBE] * terms[PROBE]
        return terms

    def _distance(self, logits: Tensor, probe: Tensor, labelled: int, task: TaskLoss) -> Tensor:
        """The mean distance of the target's answers from the probe's. [N,K], [N,K] → scalar."""
        loss = _LOSSES.get(self._probe.loss, task.divergence)
        each = loss(logits, probe, self._probe.temperature)
        if self._probe.weighting == "confidence":
            each = each * confidence(probe, labelled)
        return each.mean()


def confidence(probe: Tensor, labelled: int) -> Tensor:
    """The weight of each image: 1 - H(softmax(probe)) / log K, and 1 for the first `labelled` images. [N,K] → [N]."""
    log_shares = torch.log_softmax(probe.float(), dim=1)
    entropy = -(log_shares.exp() * log_shares).sum(dim=1)
    weights = 1 - entropy / math.log(probe.shape[1])
    return torch.cat([torch.ones_like(weights[:labelled]), weights[labelled:]])


def probe_learner(
    options: ProbeOptions, primary: nn.Module, spec: TargetSpec, sources: Mapping[str, TaughtBy]
) -> ProbeLearner:
    """The learner of a training with a probe."""
    return ProbeLearner(options, primary, spec, sources)

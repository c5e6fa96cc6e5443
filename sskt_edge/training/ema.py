"""An exponential moving average of the weights, and of the statistics of BatchNorm."""

from __future__ import annotations

import copy

from torch.optim.swa_utils import get_ema_multi_avg_fn

from sskt_edge.methods.learner import Learner


class Average:
    """The average of a learner over the steps of its training.

    Attributes:
        network: a learner with the averaged weights and statistics, in eval mode.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        """Begin with the present weights of `learner`; `decay` is the recipe's train.ema."""
        self.network = copy.deepcopy(learner).eval().requires_grad_(False)
        self._decay = decay
        # The training changes these tensors in place, so they need not be looked up again in each step.
        pairs = list(zip(self.network.state_dict().values(), learner.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    def update(self, steps: int) -> None:
        """Take in the learner's weights after `steps` steps: average ← d·average + (1 - d)·weights.

        d = min(decay, (1 + steps) / (10 + steps)), so that the first weights are soon forgotten; this is the rule of
        TensorFlow's ExponentialMovingAverage with num_updates. BatchNorm's counts of batches are copied.
        """
        average = get_ema_multi_avg_fn(min(self._decay, (1 + steps) / (10 + steps)))  # type: ignore[no-untyped-call]
        average(*([pair[side] for pair in self._floats] for side in (0, 1)), steps)
        for ours, theirs in self._counts:
            ours.copy_(theirs)

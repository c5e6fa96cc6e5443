from __future__ import annotations

import torch
from torch import nn

from sskt_edge.methods.learner import Outputs
from sskt_edge.methods.scratch.learner import ScratchLearner
from sskt_edge.tasks.single_label import SINGLE_LABEL


def test_the_total_is_the_tasks_loss() -> None:
    primary, labels = torch.tensor([[0.3, -1.0], [2.0, 0.1]]), torch.tensor([1, 0])

    terms = ScratchLearner(nn.Identity(), {}).losses(Outputs(primary), labels, {}, SINGLE_LABEL)

    assert torch.equal(terms["total"], nn.functional.cross_entropy(primary, labels))
    assert set(terms) == {"primary", "total"}


def test_what_is_stripped_is_the_target_itself() -> None:
    target = nn.Linear(2, 3)

    assert ScratchLearner(target, {}).strip() is target

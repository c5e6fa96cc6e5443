"""Learners for tests: a target with branches for sources that are known by their number of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import nn

from sskt_edge.methods.learner import TaughtBy
from sskt_edge.methods.sskt.learner import SsktLearner
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.targets.spec import target_spec


def learner_of(
    primary: nn.Module,
    model: str,
    sources: Mapping[str, int],
    transfer_module: bool = True,
    combine: Literal["sum", "mean"] = "mean",
) -> SsktLearner:
    options = SsktOptions(transfer_module=transfer_module, combine=combine)
    taught_by = {name: TaughtBy(classes) for name, classes in sources.items()}
    return SsktLearner(options, primary, target_spec(model), taught_by)

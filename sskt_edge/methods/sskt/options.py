"""The recipe's options for SSKT."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sskt_edge.recipe.method import SourceMethodOptions
from sskt_edge.recipe.part import Part


class BranchOptions(Part):
    """Branches of the target that learn to predict the sources' outputs."""

    transfer_module: bool = Field(False, description="branches sum bottlenecks of all stages; else one linear layer")
    combine: Literal["sum", "mean"] = Field("mean", description="over stages; the paper's text says sum, its code mean")
    loss: Literal["ce", "kd"] = Field("ce", description="equation (2) or (3)")
    kd_reduction: Literal["batchmean", "mean"] = Field("batchmean", description="mean also divides by the classes")
    # Chosen on validation images of the flowers; benchmarks/results/sskt_method.md has the table.
    temperature: float = Field(1.0, gt=0, description="T of the softmax; 1 in the paper's tables")
    alpha: float = Field(
        3.0, ge=0, description="the weight of the auxiliary losses; 1 in the paper's tables, 0.1 in its published code"
    )


class SsktOptions(SourceMethodOptions, BranchOptions):
    """Branches of the target learn to predict the sources' outputs."""

    name: Literal["sskt"] = "sskt"

    @property
    def label_temperature(self) -> float:
        """T of the softmax at which soft labels are used."""
        return self.temperature

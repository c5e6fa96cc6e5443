"""What a recipe may say of SSKT."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sskt_edge.recipe.method import SourceMethodOptions


class SsktOptions(SourceMethodOptions):
    """Branches of the target learn to repeat what the sources say."""

    name: Literal["sskt"] = "sskt"
    transfer_module: bool = Field(False, description="branches sum bottlenecks of every stage; else one linear layer")
    combine: Literal["sum", "mean"] = Field("mean", description="of the stages: as the paper's text, its code")
    loss: Literal["ce", "kd"] = Field("ce", description="equation (2) or (3)")
    kd_reduction: Literal["batchmean", "mean"] = Field("batchmean", description="mean: over classes too")
    # Chosen on validation images of the shipped flowers recipe; docs/figures.md has the table.
    temperature: float = Field(1.0, gt=0, description="T of the softmax; 1 in the paper's tables")
    alpha: float = Field(
        3.0, ge=0, description="the weight of the auxiliary losses; 1 in the paper's tables, 0.1 in its published code"
    )

    @property
    def label_temperature(self) -> float:
        """T of the softmax at which soft labels are used."""
        return self.temperature

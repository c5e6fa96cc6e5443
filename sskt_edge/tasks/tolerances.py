"""How far a file's answers may be from the trained network's, for each precision and whatever runs it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sskt_edge.catalogue.backends import fp32_differences
from sskt_edge.tasks.fp32_difference import Fp32Difference

RENAMED = {
    "fp16_top1_agreement": "fp16_agreement",
    "int8_top1_agreement": "int8_agreement",
    "int8_accuracy_drop": "int8_metric_drop",
}
"""Keys of `Tolerances` as recipes and manifests of older versions have them → as they are called now."""

Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tolerances(_Part):
    """How far a session may be from the trained network."""

    fp32_difference: Fp32Difference = Field(default_factory=fp32_differences)
    fp16_agreement: Share = Field(0.99, description="smallest share of decisions that are the trained network's")
    int8_agreement: Share = Field(0.95, description="the same for int8")
    int8_metric_drop: Share = Field(0.01, description="how much of the accuracy or mAP on the test set int8 may cost")

    def fp32_allowed(self, runner: str) -> float:
        """The share that holds for a runner, such as "onnxruntime-cpu"."""
        return self.fp32_difference[self.fp32_key(runner)]

    def fp32_key(self, runner: str) -> str:
        """The limit in `fp32_difference` that holds for a runner; one that has none of its own gets the CPU's."""
        own = runner.replace("-", "_")
        return own if own in self.fp32_difference else next(iter(fp32_differences()))

"""How much a file's answers may differ from the trained network's, for each precision and runner."""

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
"""Keys of `Tolerances` in recipes and manifests of older versions → their present names."""

Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tolerances(_Part):
    """How much a session may differ from the trained network."""

    fp32_difference: Fp32Difference = Field(default_factory=fp32_differences)
    fp16_agreement: Share = Field(0.99, description="smallest share of decisions that equal the trained network's")
    int8_agreement: Share = Field(0.95, description="the same for int8")
    int8_metric_drop: Share = Field(0.01, description="largest loss of accuracy or mAP on the test set by int8")

    def fp32_allowed(self, runner: str) -> float:
        """The limit that applies to a runner, such as "onnxruntime-cpu"."""
        return self.fp32_difference[self.fp32_key(runner)]

    def fp32_key(self, runner: str) -> str:
        """The key of the limit in `fp32_difference` for a runner; a runner without its own limit gets the CPU's."""
        own = runner.replace("-", "_")
        return own if own in self.fp32_difference else next(iter(fp32_differences()))

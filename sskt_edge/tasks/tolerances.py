"""How far a file's answers may be from the trained network's, for each precision and whatever runs it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

RENAMED = {
    "fp16_top1_agreement": "fp16_agreement",
    "int8_top1_agreement": "int8_agreement",
    "int8_accuracy_drop": "int8_metric_drop",
}
"""Keys of `Tolerances` as recipes and manifests of older versions have them → as they are called now."""

Difference = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Fp32Difference(_Part):
    """The largest difference of a logit in fp32, as a share of the largest logit (of 1 where that is larger).

    Measured on CPUs: 1e-6 to 1e-5. A GPU sums in another order; with TF32 off it is allowed ten times as much. ONNX
    Runtime's TensorRT provider cannot turn TF32 off, so fp32 is run by it only where it is asked for by name, and may
    then be out of tolerance.
    """

    onnxruntime_cpu: Difference = Field(1e-4, description="ONNX Runtime on the CPU")
    onnxruntime_cuda: Difference = Field(1e-3, description="ONNX Runtime on CUDA")
    onnxruntime_tensorrt: Difference = Field(1e-3, description="ONNX Runtime on TensorRT")
    openvino_cpu: Difference = Field(1e-4, description="OpenVINO on the CPU")
    tensorrt_cuda: Difference = Field(1e-3, description="TensorRT engines")


class Tolerances(_Part):
    """How far a session may be from the trained network."""

    fp32_difference: Fp32Difference = Fp32Difference()
    fp16_agreement: Share = Field(0.99, description="smallest share of decisions that are the trained network's")
    int8_agreement: Share = Field(0.95, description="the same for int8")
    int8_metric_drop: Share = Field(0.01, description="how much of the accuracy or mAP on the test set int8 may cost")

    def fp32_allowed(self, runner: str) -> float:
        """The share that holds for a runner, such as "onnxruntime-cpu"."""
        share: float = getattr(self.fp32_difference, self.fp32_key(runner))
        return share

    def fp32_key(self, runner: str) -> str:
        """The limit in `fp32_difference` that holds for a runner; one that has none of its own gets the CPU's."""
        own = runner.replace("-", "_")
        return own if own in Fp32Difference.model_fields else "onnxruntime_cpu"

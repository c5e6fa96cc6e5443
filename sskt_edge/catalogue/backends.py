"""The libraries that run an exported network, and what each runs on. `load` returns an `inference.backend.Backend`.

A new backend needs an entry here and a folder of its own in inference/backends/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sskt_edge.catalogue.entry import Entry

ON_CPU, ON_GPU = 1e-4, 1e-3
"""Largest allowed fp32 difference, as a share of the largest logit. Measured on CPUs: 1e-6 to 1e-5.

A GPU sums in another order."""


@dataclass(frozen=True)
class Provider:
    """What a backend runs on.

    Attributes:
        name: its name in options, such as "cpu".
        title: the backend on this provider, for a reader.
        takes: the precisions of a bundle that it runs by default.
        fp32_difference: the largest allowed difference of a logit in fp32, as a share of the largest logit.
    """

    name: str
    title: str
    takes: tuple[str, ...]
    fp32_difference: float


@dataclass(frozen=True, kw_only=True)
class BackendEntry(Entry):
    """A library that runs networks.

    Attributes:
        title: its name for a reader.
        providers: what it runs on; the first one is available everywhere.
        runs_files: whether it runs the ONNX files of a bundle, rather than engines that are built from them.
        source_engines: how it may run sources: each precision to compute in, with the provider to run on; "" stands for
            the provider of the training device.
    """

    title: str
    providers: tuple[Provider, ...]
    runs_files: bool = True
    source_engines: tuple[tuple[Literal["fp32", "bf16", "fp16", "int8"], str], ...] = ()


_FOLDER = "sskt_edge.inference.backends"
# Every export is judged by the first provider of the first backend.
BACKENDS: dict[str, BackendEntry] = {
    one.name: one
    for one in (
        BackendEntry(
            "onnxruntime",
            "ONNX files on the CPU and on NVIDIA GPUs",
            f"{_FOLDER}.onnxruntime.backend:OnnxRuntimeBackend",
            ("cpu",),
            title="ONNX Runtime",
            providers=(
                Provider("cpu", "ONNX Runtime on the CPU", ("fp32", "fp16", "int8", "int8-cpu"), ON_CPU),
                Provider("cuda", "ONNX Runtime on CUDA", ("fp32", "fp16"), ON_GPU),
                # No fp32: this provider cannot switch TF32 off, so its logits prove nothing about fp32. If requested by
                # name, it may be out of tolerance.
                Provider("tensorrt", "ONNX Runtime on TensorRT", ("fp16", "int8"), ON_GPU),
            ),
            source_engines=(("fp32", ""), ("fp32", "tensorrt"), ("int8", "")),
        ),
        BackendEntry(
            "openvino",
            "ONNX files on the CPU",
            f"{_FOLDER}.openvino.backend:OpenVinoBackend",
            ("openvino",),
            title="OpenVINO",
            providers=(Provider("cpu", "OpenVINO on the CPU", ("fp32", "fp16", "int8"), ON_CPU),),
            source_engines=(("fp32", ""), ("bf16", ""), ("int8", "")),
        ),
        BackendEntry(
            "tensorrt",
            "engines that are built from ONNX files for one kind of NVIDIA GPU",
            f"{_FOLDER}.tensorrt.backend:TensorRtBackend",
            ("tensorrt",),
            title="TensorRT",
            providers=(Provider("cuda", "TensorRT engines", ("fp32", "fp16", "int8"), ON_GPU),),
            runs_files=False,
            source_engines=(("fp32", ""), ("fp16", "")),
        ),
    )
}


def fp32_differences() -> dict[str, float]:
    """Backend and provider, such as "onnxruntime_cpu" → the largest allowed difference of an fp32 logit."""
    return {
        f"{entry.name}_{provider.name}": provider.fp32_difference
        for entry in BACKENDS.values()
        for provider in entry.providers
    }


def provider_names() -> tuple[str, ...]:
    """What backends run on, by the names of options.

    >>> provider_names()
    ('cpu', 'cuda', 'tensorrt')
    """
    return tuple(dict.fromkeys(provider.name for entry in BACKENDS.values() for provider in entry.providers))

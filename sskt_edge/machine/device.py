"""The kind of this device, and what to install on it. Not yet tested on a Jetson, on an Arm board or with a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.common.packages import install_hint
from sskt_edge.machine.conditions import Conditions
from sskt_edge.machine.jetson import Jetson

# The oldest driver for each CUDA version. https://nvidia.github.io/cuda-python/cuda-core/latest/install.html
_DRIVERS = {13: 580, 12: 525}
_OLDER = 11
_JETPACK_CUDA = {"4": 10, "5": 11, "6": 12, "7": 13}
# Not Orin (8.7), A100 (8.0) or H100 (9.0).
# https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/getting-started/support-matrix.html
_RTX_CAPABILITIES = ("7.5", "8.6", "8.9", "12.0", "12.1")


@dataclass(frozen=True)
class Packages:
    """What one `pip install` command installs.

    Attributes:
        extras: extras of sskt-edge.
        others: further requirements.
    """

    extras: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __add__(self, more: Packages) -> Packages:
        """Both, each package once."""
        return Packages(tuple(dict.fromkeys(self.extras + more.extras)), self.others + more.others)

    def command(self) -> str:
        """Such as "pip install 'sskt-edge[gpu,tensorrt]'"; "" if there is nothing to install."""
        return install_hint(*self.extras, others=self.others) if self.extras or self.others else ""


@dataclass(frozen=True)
class Device:
    """A kind of device.

    Attributes:
        name: such as "Jetson with JetPack 6".
        onnxruntime: the packages of ONNX Runtime.
        tensorrt: the packages of TensorRT; None if it cannot be installed.
        why_not: the reason in that case.
        system_tensorrt: whether TensorRT is a package of the system, for the system's Python.
        note: a further remark on the installation, or "".
    """

    name: str
    onnxruntime: Packages
    tensorrt: Packages | None
    why_not: str = ""
    system_tensorrt: bool = False
    note: str = ""


@dataclass(frozen=True)
class CudaGpu:
    """The GPU that CUDA uses.

    Attributes:
        name: such as "Orin" or "NVIDIA GeForce RTX 4090".
        compute_capability: such as "8.7".
        driver: the newest CUDA that the driver supports, such as "12.6".
        runtime: the CUDA that cuda-bindings was built for.
    """

    name: str
    compute_capability: str
    driver: str
    runtime: str


@dataclass(frozen=True)
class Gpu:
    """The first GPU, as CUDA or the system shows it.

    Attributes:
        name: such as "NVIDIA H100 80GB HBM3".
        compute_capability: such as "9.0"; None if unknown.
        cuda: the major version of the newest CUDA that the driver supports; None if unknown.
    """

    name: str
    compute_capability: str | None
    cuda: int | None


_CPU = Packages(("cpu",))
_ARM = "ONNX Runtime uses the CPU and TensorRT the GPU; onnxruntime-gpu for Arm needs Python 3.11 or newer."
_JETSON_BINDINGS = {"6": "cuda-bindings>=12.6,<13", "7": "cuda-bindings>=13,<14"}
_JETSON_NOTES = {
    "6": "ONNX Runtime uses the CPU and TensorRT the GPU. For ONNX Runtime on the GPU, replace the extra cpu with: "
    "pip install onnxruntime-gpu --index-url https://pypi.jetson-ai-lab.io/jp6/cu126"
}


def runs_rtx(compute_capability: str | None) -> bool:
    """Whether TensorRT for RTX supports such a GPU."""
    return compute_capability in _RTX_CAPABILITIES


def gpu_of(conditions: Conditions, cuda: CudaGpu | None = None) -> Gpu | None:
    """The GPU that CUDA uses; if CUDA does not respond, the first one that the system shows; or None."""
    if cuda:
        return Gpu(cuda.name, cuda.compute_capability, int(cuda.driver.partition(".")[0]))
    first, jetson = next(iter(conditions.gpus), None), conditions.jetson
    if jetson:
        name = first.name if first and first.name else jetson.model or "Jetson"
        return Gpu(name, first.compute_capability if first else None, _JETPACK_CUDA.get(jetson.jetpack or ""))
    return Gpu(first.name or "NVIDIA GPU", first.compute_capability, _cuda_of(first.driver)) if first else None


def device_of(conditions: Conditions, gpu: Gpu | None) -> Device:
    """The kind of this device."""
    if conditions.jetson:
        return _jetson(conditions.jetson)
    arm = conditions.architecture in ("aarch64", "arm64")
    if arm and gpu:
        return Device("Arm with an NVIDIA GPU", _CPU, Packages(("tensorrt",)), note=_ARM)
    if arm:
        why_not = "needs an NVIDIA GPU; an x86-64 machine can build ahead of time"
        return Device("Arm, no NVIDIA GPU", _CPU, None, why_not)
    if gpu is None:
        return Device(f"{conditions.architecture}, no NVIDIA GPU", _CPU, Packages(("rtx",)))
    if "RTX" in gpu.name and runs_rtx(gpu.compute_capability):
        return _card("x86-64 with an RTX card", gpu, "rtx", "tensorrt-rtx-cu12>=1.2")
    return _card("x86-64 server with an NVIDIA GPU", gpu, "tensorrt", "tensorrt-cu12>=10.3")


def _jetson(jetson: Jetson) -> Device:
    jetpack = jetson.jetpack or "unknown"
    name = f"Jetson with JetPack {jetpack}"
    if jetpack in ("4", "5"):
        return Device(name, _CPU, None, f"needs JetPack 6.1 or newer: JetPack {jetpack} has no TensorRT 10.3")
    bindings = Packages((), (_JETSON_BINDINGS.get(jetpack, "cuda-bindings>=12.6"),))
    return Device(name, _CPU, bindings, system_tensorrt=True, note=_JETSON_NOTES.get(jetpack, _ARM))


def _card(name: str, gpu: Gpu, extra: str, for_cuda12: str) -> Device:
    """A card in an x86-64 machine. The newest packages are for CUDA 13; an older driver needs older packages."""
    if _is_before_turing(gpu.compute_capability or ""):
        return Device(name, Packages(("gpu",)), None, "TensorRT needs a GPU of compute capability 7.5 or newer")
    if gpu.cuda == _OLDER:
        return Device(name, _CPU, None, "needs NVIDIA's driver 525 or newer, best 580.65 or newer")
    if gpu.cuda == 12:
        # The last onnxruntime-gpu for CUDA 12 is 1.26.
        older = Packages((), (for_cuda12, "cuda-bindings>=12.6,<13"))
        note = "The driver supports CUDA 12; the newest packages need driver 580.65 or newer."
        return Device(f"{name}, CUDA 12", Packages((), ("onnxruntime-gpu<1.27",)), older, note=note)
    return Device(name, Packages(("gpu",)), Packages((extra,)))


def _cuda_of(driver: str | None) -> int | None:
    number = (driver or "").partition(".")[0]
    if not number.isdigit():
        return None
    return next((cuda for cuda, oldest in _DRIVERS.items() if int(number) >= oldest), _OLDER)


def _is_before_turing(compute_capability: str) -> bool:
    major, _, minor = compute_capability.partition(".")
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) < (7, 5)

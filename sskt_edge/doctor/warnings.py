"""Report problems of this installation, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from sskt_edge.common.packages import install_hint
from sskt_edge.doctor.machine import Machine

_CUDA13_ONNXRUNTIME = (1, 27)
_SWAP = "pip uninstall -y onnxruntime onnxruntime-gpu, then"


def warnings(machine: Machine) -> list[str]:
    """A sentence or two for each problem."""
    return [*_onnxruntime(machine), *machine.tensorrt_faults, *_driver(machine), *_cuda(machine)]


def _onnxruntime(machine: Machine) -> Iterator[str]:
    version = machine.packages.get("onnxruntime-gpu")
    if version is None:
        return
    again = machine.device.onnxruntime.command()
    if machine.packages.get("onnxruntime"):
        yield (
            "onnxruntime and onnxruntime-gpu are both installed; they overwrite each other's files. Keep one: "
            f"{_SWAP} {install_hint('gpu')} or {install_hint('cpu')}."
        )
    elif "CUDAExecutionProvider" not in machine.providers:
        yield (
            f"onnxruntime-gpu {version} has no CUDA provider (available: {', '.join(machine.providers) or 'none'}). "
            f"Reinstall it: {_SWAP} {again}."
        )
    elif machine.gpu is None:
        yield (
            f"onnxruntime-gpu {version} is installed, but no NVIDIA GPU is visible, so it uses the CPU. Install "
            f"NVIDIA's driver (in a container, give it access to the GPU), or {_SWAP} {again}."
        )
    elif machine.gpu.cuda == 12 and machine.conditions.jetson is None and _numbers(version) >= _CUDA13_ONNXRUNTIME:
        yield f"onnxruntime-gpu {version} is for CUDA 13, but the driver supports CUDA 12: {_newer_driver(again)}"


def _driver(machine: Machine) -> Iterator[str]:
    fault = machine.conditions.gpu_fault
    if fault.startswith("NVIDIA's driver"):
        yield f"{fault}. If the driver was updated, restart the machine; otherwise reinstall the driver."
    elif fault:
        yield f"{fault}. Reinstall it: pip install --force-reinstall nvidia-ml-py."


def _cuda(machine: Machine) -> Iterator[str]:
    bindings, gpu = machine.packages.get("cuda-bindings"), machine.gpu
    if machine.cuda_fault:
        yield machine.cuda_fault
    if not bindings or gpu is None or machine.cuda:
        return
    made_for = next(iter(_numbers(bindings)), 0)
    if gpu.cuda and made_for > gpu.cuda:
        older = machine.device.tensorrt.command() if machine.device.tensorrt else ""
        what = f"cuda-bindings {bindings} is for CUDA {made_for}, but the driver supports CUDA {gpu.cuda}"
        yield f"{what}: {_newer_driver(older)}"
    elif not machine.cuda_fault:
        yield (
            f"The system shows {gpu.name}, but CUDA shows no GPU. Check whether CUDA_VISIBLE_DEVICES hides it; in a "
            "container, give it access to the GPU."
        )


def _newer_driver(else_: str) -> str:
    return "install NVIDIA's driver 580.65 or newer" + (f", or {else_}." if else_ else ".")


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version: "1.31.1" → (1, 31)."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())

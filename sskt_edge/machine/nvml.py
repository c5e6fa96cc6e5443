"""Query NVML, the library of NVIDIA's driver, about the GPUs, and print the answer as JSON.

`python nvml.py` is a separate program, because a driver that hangs blocks the process that queries it, and a driver
that crashes kills it. It imports nothing from sskt_edge, so that it starts at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

# Field of GpuState → the query. A GPU may not support some of them, or an older driver may not know them.
_QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "name": lambda nvml, gpu: nvml.nvmlDeviceGetName(gpu),
    "driver": lambda nvml, _: nvml.nvmlSystemGetDriverVersion(),
    "compute_capability": lambda nvml, gpu: ".".join(map(str, nvml.nvmlDeviceGetCudaComputeCapability(gpu))),
    "memory_mib": lambda nvml, gpu: float(nvml.nvmlDeviceGetMemoryInfo(gpu).total >> 20),
    "sm_clock_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
    "max_sm_clock_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM)),
    "memory_clock_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM)),
    "max_memory_clock_mhz": lambda nvml, gpu: float(nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM)),
    "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerManagementLimit(gpu) / 1e3,
    "temperature_c": lambda nvml, gpu: float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)),
    "persistence": lambda nvml, gpu: bool(nvml.nvmlDeviceGetPersistenceMode(gpu)),
}


def read_gpus() -> tuple[list[dict[str, Any]], str]:
    """Every GPU that responds, with the fields of GpuState, and what is wrong, or "". Without NVML, there is no GPU."""
    import pynvml

    gpus, faults = [], []
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError_LibraryNotFound:
        return [], ""
    except pynvml.NVMLError as error:
        return [], _fault(error)
    for number in range(count):
        try:
            gpu = pynvml.nvmlDeviceGetHandleByIndex(number)
        except pynvml.NVMLError_NoPermission:  # a GPU that is assigned to others
            continue
        except pynvml.NVMLError as error:
            faults.append(f"{_fault(error)} (GPU {number})")
            continue
        gpus.append({name: _answer(pynvml, gpu, name) for name in _QUESTIONS})
    return gpus, "; ".join(faults)


def _fault(error: Exception) -> str:
    return f"NVIDIA's driver failed: {str(error).rstrip('.')}"


def _answer(nvml: Any, gpu: Any, name: str) -> Any:
    try:
        return _QUESTIONS[name](nvml, gpu)
    except nvml.NVMLError:
        return None


if __name__ == "__main__":
    try:
        answer = read_gpus()
    except Exception as error:  # a broken installation may raise anything
        answer = [], f"nvidia-ml-py does not work: {error}"
    print(json.dumps(answer))

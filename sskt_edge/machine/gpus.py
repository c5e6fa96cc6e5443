"""The GPUs that NVIDIA's driver reports. On Jetson, NVML reports little (JetPack 6) or is missing (JetPack 5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.machine import nvml
from sskt_edge.machine.probe import ask_python


@dataclass(frozen=True)
class GpuState:
    """A GPU and its settings when they were read. A value is None if the driver does not report it.

    Attributes:
        name: such as "NVIDIA GeForce RTX 4090".
        driver: version of the driver, such as "580.95.05".
        compute_capability: such as "8.9".
        memory_mib: its total memory.
        sm_clock_mhz: the current clock; an idle GPU clocks down, so read it during the work or right after.
        max_sm_clock_mhz: the highest clock that it can reach.
        memory_clock_mhz: the current memory clock.
        max_memory_clock_mhz: the highest memory clock that it can reach.
        power_limit_w: the power limit in force.
        temperature_c: the current temperature.
        persistence: whether the driver stays loaded while no program uses it.
    """

    name: str | None = None
    driver: str | None = None
    compute_capability: str | None = None
    memory_mib: float | None = None
    sm_clock_mhz: float | None = None
    max_sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    max_memory_clock_mhz: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    persistence: bool | None = None


def ask_gpus(seconds: float = 10) -> tuple[tuple[GpuState, ...], str]:
    """Every GPU that responds within `seconds`, and what is wrong with the driver, or "".

    If NVML is not installed, there is neither a GPU nor a fault. NVML is queried by a separate process, which is
    abandoned if the driver hangs.
    """
    answer = ask_python(Path(nvml.__file__), "NVIDIA's driver", seconds)
    if answer.fault:
        return (), answer.fault
    # A stub of the library, as in the CUDA toolkit, prints a warning before it fails.
    try:
        gpus, fault = json.loads(answer.text.splitlines()[-1])
    except (IndexError, ValueError):
        return (), "NVIDIA's driver returned an answer that cannot be parsed"
    return tuple(GpuState(**gpu) for gpu in gpus), fault

"""The conditions of a measurement: the processors, their clocks, and the system."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.machine.gpus import GpuState, ask_gpus
from sskt_edge.machine.jetson import Jetson, find_jetson
from sskt_edge.machine.probe import number_of, text_of


@dataclass(frozen=True)
class Processor:
    """The CPU. A value is None if the system does not report it.

    Attributes:
        name: the vendor's name for it; on Arm, which has none, the name of the board.
        cores: the number of cores that this process may use.
        core_quota: the CPU time, in cores, that its container may use; None without a limit.
        governor: the kernel's frequency governor, such as "performance"; all of them if the cores differ.
        clock_mhz: the current clock of the fastest core.
        max_clock_mhz: the highest clock that the fastest core may have.
    """

    name: str | None
    cores: int
    core_quota: float | None
    governor: str | None
    clock_mhz: float | None
    max_clock_mhz: float | None


@dataclass(frozen=True)
class Conditions:
    """The facts about the machine that a measurement depends on. A value is None if the system does not report it.

    Attributes:
        system: such as "Ubuntu 22.04.5 LTS".
        kernel: such as "5.15.148-tegra".
        architecture: such as "x86_64" or "aarch64".
        memory_mib: the memory of the machine.
        processor: the CPU.
        gpus: all GPUs that NVIDIA's driver reports, whichever one CUDA uses.
        jetson: the facts about this Jetson, or None.
        gpu_fault: why NVIDIA's driver reports no GPU or not all of them, or "".
    """

    system: str
    kernel: str
    architecture: str
    memory_mib: float | None
    processor: Processor
    gpus: tuple[GpuState, ...]
    jetson: Jetson | None
    gpu_fault: str


def conditions(root: Path = Path("/")) -> Conditions:
    """The current conditions. It never raises; NVIDIA's driver has ten seconds to respond.

    Args:
        root: the folder that holds proc, sys, etc and var.
    """
    gpus, fault = ask_gpus()
    memory = re.search(r"^MemTotal: *(\d+) kB", text_of(root / "proc/meminfo") or "", re.MULTILINE)
    return Conditions(
        system=_system(),
        kernel=platform.release(),
        architecture=platform.machine(),
        memory_mib=int(memory[1]) // 1024 if memory else None,
        processor=read_processor(root),
        gpus=gpus,
        jetson=find_jetson(root),
        gpu_fault=fault,
    )


def _system() -> str:
    with suppress(OSError):  # not Linux, or a Linux without the file
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return platform.system()


def read_processor(root: Path = Path("/")) -> Processor:
    """The processor, and how much of it this process may use. It never raises.

    Args:
        root: the folder that holds proc and sys.
    """
    named = re.search(r"^model name\s*: *(.+)", text_of(root / "proc/cpuinfo") or "", re.MULTILINE)
    clocks = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    governors = {text_of(clock / "scaling_governor") for clock in clocks} - {None}
    return Processor(
        name=named[1] if named else text_of(root / "proc/device-tree/model") or platform.processor() or None,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        core_quota=_quota(root),
        governor=", ".join(sorted(map(str, governors))) or None,
        clock_mhz=_highest(clocks, "scaling_cur_freq"),
        max_clock_mhz=_highest(clocks, "scaling_max_freq"),
    )


def _highest(clocks: list[Path], name: str) -> float | None:
    return max(filter(None, (number_of(clock / name, 1e3) for clock in clocks)), default=None)


def _quota(root: Path) -> float | None:
    time, _, period = (text_of(root / "sys/fs/cgroup/cpu.max") or "").partition(" ")
    return int(time) / int(period) if time.isdigit() and period.isdigit() else None

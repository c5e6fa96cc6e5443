"""The model of a Jetson and its clocks, as its system files report them. Not yet tested on a Jetson."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.machine.probe import ask, number_of, text_of

# L4T, the underlying Linux → JetPack. 38 was only for Thor, 39 is for Orin and Thor.
_JETPACKS = {"32": "4", "34": "5", "35": "5", "36": "6", "38": "7", "39": "7"}
_L4T = re.compile(r"R(\d+) \(release\), REVISION: ([\d.]+)")
_MODE = re.compile(r"pmode:(\d+)")
_MODE_NAME = re.compile(r"NV Power Mode: *(\S+)")
# The names of the GPU among the devices with a variable clock: Nano and Orin, Orin with JetPack 5, Xavier, TX2, Thor.
_GPUS = ("*.gpu", "*.ga10b", "*.gv11b", "*.gp10b", "gpu-gpc-*")


@dataclass(frozen=True)
class Jetson:
    """A Jetson and its settings when they were read. A value is None if its files do not report it.

    Attributes:
        model: such as "NVIDIA Jetson Orin Nano Developer Kit".
        l4t: the release of its Linux, such as "36.4.3".
        jetpack: the JetPack that this Linux belongs to, such as "6".
        power_mode: the power mode of nvpmodel, such as "MAXN_SUPER" or "15W".
        gpu_clock_mhz: the current clock, which follows the load unless it is fixed.
        gpu_min_clock_mhz: the lowest clock that is allowed; jetson_clocks sets it to the highest.
        gpu_max_clock_mhz: the highest clock that the power mode allows.
        gpu_temperature_c: the current temperature.
    """

    model: str | None
    l4t: str | None
    jetpack: str | None
    power_mode: str | None
    gpu_clock_mhz: float | None
    gpu_min_clock_mhz: float | None
    gpu_max_clock_mhz: float | None
    gpu_temperature_c: float | None


def find_jetson(root: Path = Path("/")) -> Jetson | None:
    """The facts about this Jetson; None if this machine is not a Jetson.

    Args:
        root: the folder that holds proc, sys, etc and var.
    """
    model = text_of(root / "proc/device-tree/model")
    release = text_of(root / "etc/nv_tegra_release")
    if release is None and "Jetson" not in (model or ""):
        return None
    l4t = _L4T.search(release or "")
    gpu = next((found for name in _GPUS for found in sorted((root / "sys/class/devfreq").glob(name))), root / "none")
    return Jetson(
        model=model,
        l4t=f"{l4t[1]}.{l4t[2]}" if l4t else None,
        jetpack=_JETPACKS.get(l4t[1]) if l4t else None,
        power_mode=_power_mode(root),
        gpu_clock_mhz=number_of(gpu / "cur_freq", 1e6),
        gpu_min_clock_mhz=number_of(gpu / "min_freq", 1e6),
        gpu_max_clock_mhz=number_of(gpu / "max_freq", 1e6),
        gpu_temperature_c=_temperature(root),
    )


def _power_mode(root: Path) -> str | None:
    """The mode's name in nvpmodel's files, which can be mounted in a container; None before a mode was first chosen."""
    number = _MODE.search(text_of(root / "var/lib/nvpmodel/status") or "")
    if number is None:
        answer = ask("nvpmodel", "-q")
        name = _MODE_NAME.search(answer.text) if answer else None
        return name[1] if name else None
    known = text_of(root / "etc/nvpmodel.conf") or ""
    name = re.search(rf"^< *POWER_MODEL +ID={int(number[1])} +NAME=(\S+)", known, re.MULTILINE)
    return name[1] if name else f"mode {int(number[1])}"


def _temperature(root: Path) -> float | None:
    """The temperature of the zone gpu-thermal or, with JetPack 5, GPU-therm."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    gpu = (zone for zone in zones if (text_of(zone / "type") or "").lower().startswith("gpu"))
    return next((number_of(zone / "temp", 1e3) for zone in gpu), None)

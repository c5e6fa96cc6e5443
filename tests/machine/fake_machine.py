"""Machines that are not here: the files that their kernel shows, the libraries and programs that answer on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What NVML answers on such machines, by its function and the kind of clock; what is missing is not supported.
RTX_4090: dict[str, Any] = {
    "Name": "NVIDIA GeForce RTX 4090",
    "DriverVersion": "580.95.05",
    "CudaComputeCapability": [8, 9],
    "MemoryInfo": 24564 << 20,
    "ClockInfo 1": 210,
    "MaxClockInfo 1": 3105,
    "ClockInfo 2": 405,
    "MaxClockInfo 2": 10501,
    "PowerManagementLimit": 450_000,
    "Temperature 0": 38,
    "PersistenceMode": 0,
}
H100: dict[str, Any] = RTX_4090 | {
    "Name": "NVIDIA H100 80GB HBM3",
    "CudaComputeCapability": [9, 0],
    "MemoryInfo": 81559 << 20,
    "PersistenceMode": 1,
}
ORIN: dict[str, Any] = {"Name": "Orin (nvgpu)", "DriverVersion": "540.4.0", "CudaComputeCapability": [8, 7]}

_PYNVML = """
import json
from types import SimpleNamespace

gpus = json.loads({gpus!r})
NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError):
    pass


class NVMLError_NoPermission(NVMLError):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


def nvmlInit():
    if gpus is None:
        raise NVMLError_LibraryNotFound("NVML Shared Library Not Found")
    if isinstance(gpus, str):
        raise NVMLError(gpus)


def nvmlDeviceGetCount():
    return len(gpus)


def nvmlDeviceGetHandleByIndex(index):
    if gpus[index] == "given to others":
        raise NVMLError_NoPermission("Insufficient Permissions")
    if isinstance(gpus[index], str):
        raise NVMLError(gpus[index])
    return gpus[index]


def answer(gpu, question):
    if question not in gpu:
        raise NVMLError_NotSupported("Not Supported")
    return gpu[question]


def nvmlSystemGetDriverVersion():
    return answer(gpus[0], "DriverVersion")


def nvmlDeviceGetName(handle):
    return answer(handle, "Name")


def nvmlDeviceGetCudaComputeCapability(handle):
    return answer(handle, "CudaComputeCapability")


def nvmlDeviceGetMemoryInfo(handle):
    return SimpleNamespace(total=answer(handle, "MemoryInfo"))


def nvmlDeviceGetClockInfo(handle, type):
    return answer(handle, f"ClockInfo {{type}}")


def nvmlDeviceGetMaxClockInfo(handle, type):
    return answer(handle, f"MaxClockInfo {{type}}")


def nvmlDeviceGetPowerManagementLimit(handle):
    return answer(handle, "PowerManagementLimit")


def nvmlDeviceGetTemperature(handle, sensor):
    return answer(handle, f"Temperature {{sensor}}")


def nvmlDeviceGetPersistenceMode(handle):
    return answer(handle, "PersistenceMode")
"""

_RELEASES = {
    "5": "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64",
    "6": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
    "7": "# R39 (release), REVISION: 2.0, GCID: 44971228, BOARD: generic, EABI: aarch64",
}
_MODES = """#
# FORMAT:
# < POWER_MODEL ID=id_num NAME=mode_name >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
"""


def program(folder: Path, name: str, text: str) -> Path:
    """A program of that name in `folder`, which belongs before the rest of PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def pynvml(folder: Path, gpus: Sequence[Mapping[str, Any] | str] | str | None) -> Path:
    """A module pynvml in `folder`, which belongs on PYTHONPATH, that answers as NVIDIA's does.

    Args:
        folder: where it is put.
        gpus: of the machine; a text in place of one is why it does not answer. Or why the driver does not answer, or
            None where NVML is not installed.
    """
    lay_out(folder, {"pynvml.py": _PYNVML.format(gpus=json.dumps(gpus))})
    return folder


def lay_out(root: Path, files: Mapping[str, str]) -> Path:
    """These files below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def jetson(root: Path, jetpack: str = "6", devfreq: str = "17000000.gpu", mode: str | None = "pmode:0002") -> Path:
    """An Orin Nano with that JetPack, whose GPU's clock is in the folder `devfreq`, below `root`."""
    files = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 62.50\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n",
        "proc/meminfo": "MemTotal:        7802536 kB\nMemFree:          512000 kB\n",
        "etc/nv_tegra_release": _RELEASES[jetpack] + "\n# KERNEL_VARIANT: oot\n",
        "etc/nvpmodel.conf": _MODES,
        f"sys/class/devfreq/{devfreq}/cur_freq": "306000000\n",
        f"sys/class/devfreq/{devfreq}/min_freq": "306000000\n",
        f"sys/class/devfreq/{devfreq}/max_freq": "1020000000\n",
        "sys/class/devfreq/15340000.vic/cur_freq": "115200000\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "51000\n",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
        "sys/class/thermal/thermal_zone1/temp": "49531\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "729600\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1728000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "schedutil\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1728000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_max_freq": "1728000\n",
    }
    if mode is not None:
        files["var/lib/nvpmodel/status"] = f"{mode}\n"
    return lay_out(root, files)

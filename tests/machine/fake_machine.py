"""Machines that are not here, laid out as the files that their kernel shows and the programs that answer on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# What nvidia-smi said on such machines; a field that is missing is one that it does not know.
RTX_4090 = {
    "name": "NVIDIA GeForce RTX 4090",
    "driver_version": "580.95.05",
    "memory.total": "24564",
    "compute_cap": "8.9",
    "clocks.sm": "210",
    "clocks.max.sm": "3105",
    "clocks.mem": "405",
    "clocks.max.mem": "10501",
    "power.limit": "450.00",
    "temperature.gpu": "38",
    "persistence_mode": "Disabled",
}
H100 = RTX_4090 | {
    "name": "NVIDIA H100 80GB HBM3",
    "compute_cap": "9.0",
    "memory.total": "81559",
    "persistence_mode": "Enabled",
}
ORIN = dict.fromkeys(RTX_4090, "[N/A]") | {
    "name": "Orin (nvgpu)",
    "driver_version": "540.4.0",
    "compute_cap": "8.7",
    "memory.total": "[Not Supported]",
}

_NVIDIA_SMI = """#!{python}
import json, sys
gpus = json.loads({gpus!r})
fields = sys.argv[1].removeprefix("--query-gpu=").split(",")
for field in fields:
    if any(field not in gpu for gpu in gpus):
        print(f'Field "{{field}}" is not a valid field to query.\\n')
        sys.exit(2)
for gpu in gpus:
    print(", ".join(gpu[field] for field in fields))
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


def nvidia_smi(folder: Path, gpus: Sequence[Mapping[str, str]]) -> Path:
    """An nvidia-smi that answers as the real one does: by field, and not at all if it does not know one."""
    text = _NVIDIA_SMI.format(python=sys.executable, gpus=json.dumps(list(gpus)))
    return program(folder, "nvidia-smi", text)


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
        "proc/sys/kernel/osrelease": "5.15.148-tegra\n",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nNAME="Ubuntu"\n',
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

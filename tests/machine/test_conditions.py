from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.common.json import as_json
from sskt_edge.machine.conditions import conditions
from tests.machine.fake_machine import ORIN, jetson, lay_out, pynvml


def test_this_machine_is_told_as_json_that_reads_back_the_same() -> None:
    found = conditions()
    assert found.architecture == platform.machine()
    assert found.kernel == platform.release()
    assert found.memory_mib is None or found.memory_mib > 100
    assert json.loads(json.dumps(as_json(found), allow_nan=False)) == as_json(found)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_cores_are_those_that_the_process_may_use() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from sskt_edge.machine.conditions import conditions; print(conditions().processor.cores)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_a_machine_that_says_nothing_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pynvml(tmp_path, None)))
    found = conditions(tmp_path)
    assert (found.memory_mib, found.gpus, found.jetson, found.gpu_fault) == (None, (), None, "")
    assert (found.processor.governor, found.processor.clock_mhz, found.processor.core_quota) == (None, None, None)
    assert found.processor.cores >= 1


def test_a_jetson_is_told_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pynvml(tmp_path / "site", [ORIN])))
    found = conditions(jetson(tmp_path))
    assert found.memory_mib == 7619
    assert found.processor.name == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert (found.processor.governor, found.processor.clock_mhz, found.processor.max_clock_mhz) == (
        "schedutil",
        1728,
        1728,
    )
    assert found.jetson is not None and found.jetson.power_mode == "MAXN_SUPER"
    assert [gpu.name for gpu in found.gpus] == ["Orin (nvgpu)"]


def test_cores_with_different_governors_are_told_apart(tmp_path: Path) -> None:
    folder = "sys/devices/system/cpu/cpu1/cpufreq"
    found = conditions(lay_out(jetson(tmp_path), {f"{folder}/scaling_governor": "performance\n"}))
    assert found.processor.governor == "performance, schedutil"


@pytest.mark.parametrize(("limit", "quota"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None)])
def test_a_containers_share_of_the_cores_is_told(tmp_path: Path, limit: str, quota: float | None) -> None:
    assert conditions(lay_out(tmp_path, {"sys/fs/cgroup/cpu.max": limit})).processor.core_quota == quota


def test_an_x86_processor_has_its_makers_name(tmp_path: Path) -> None:
    cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC 9654 96-Core Processor\n\nprocessor\t: 1\nmodel name\t: another\n"
    assert conditions(lay_out(tmp_path, {"proc/cpuinfo": cpuinfo})).processor.name == "AMD EPYC 9654 96-Core Processor"


@pytest.mark.skipif(not Path("/etc/os-release").is_file(), reason="this system has no os-release")
def test_the_system_is_called_as_it_calls_itself() -> None:
    assert f'PRETTY_NAME="{conditions().system}"' in Path("/etc/os-release").read_text()


def test_a_system_without_os_release_is_called_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> dict[str, str]:
        raise OSError("Unable to read files /etc/os-release, /usr/lib/os-release")

    monkeypatch.setattr(platform, "freedesktop_os_release", none)
    assert conditions().system == platform.system()

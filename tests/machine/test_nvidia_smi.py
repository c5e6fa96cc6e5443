"""What is read from nvidia-smi's answers. The program here is a stand-in that prints what real ones print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sskt_edge.machine.nvidia_smi import GpuState, ask_gpus
from tests.machine.fake_machine import H100, ORIN, RTX_4090, nvidia_smi, program


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_nvidia_smi_there_is_no_gpu_and_no_fault(programs: Path) -> None:
    assert ask_gpus() == ((), "")


def test_every_field_is_read_in_its_unit(programs: Path) -> None:
    nvidia_smi(programs, [RTX_4090])
    assert ask_gpus() == (
        (
            GpuState(
                name="NVIDIA GeForce RTX 4090",
                driver="580.95.05",
                compute_capability="8.9",
                memory_mib=24564,
                sm_clock_mhz=210,
                max_sm_clock_mhz=3105,
                memory_clock_mhz=405,
                max_memory_clock_mhz=10501,
                power_limit_w=450,
                temperature_c=38,
                persistence=False,
            ),
        ),
        "",
    )


def test_every_gpu_is_told_in_its_order(programs: Path) -> None:
    nvidia_smi(programs, [H100, RTX_4090])
    gpus, fault = ask_gpus()
    assert [(gpu.name, gpu.persistence) for gpu in gpus] == [(H100["name"], True), (RTX_4090["name"], False)]
    assert fault == ""


def test_what_a_jetson_does_not_answer_is_none(programs: Path) -> None:
    nvidia_smi(programs, [ORIN, ORIN | {"driver_version": "[N/A]"}])
    known = GpuState(name="Orin (nvgpu)", driver="540.4.0", compute_capability="8.7")
    assert ask_gpus() == ((known, replace(known, driver=None)), "")


def test_an_old_one_is_asked_without_the_fields_that_it_does_not_know(programs: Path) -> None:
    nvidia_smi(
        programs, [{name: text for name, text in RTX_4090.items() if name not in ("compute_cap", "clocks.max.mem")}]
    )
    (gpu,), fault = ask_gpus()
    assert fault == ""
    assert (gpu.compute_capability, gpu.max_memory_clock_mhz) == (None, None)
    assert (gpu.name, gpu.max_sm_clock_mhz, gpu.temperature_c) == ("NVIDIA GeForce RTX 4090", 3105, 38)


def test_a_driver_that_does_not_answer_is_a_fault(programs: Path) -> None:
    said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    program(programs, "nvidia-smi", f'#!/bin/sh\necho "{said}"\nexit 9\n')
    assert ask_gpus() == ((), f"nvidia-smi fails: {said}")


def test_lines_that_are_no_gpu_are_passed_over(programs: Path) -> None:
    program(programs, "nvidia-smi", "#!/bin/sh\necho 'No devices were found'\n")
    assert ask_gpus() == ((), "")

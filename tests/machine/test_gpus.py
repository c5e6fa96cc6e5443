"""What is read from NVML's answers. The module pynvml here is a stand-in with the names of NVIDIA's."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

import pynvml as nvidias
import pytest

from sskt_edge.machine.gpus import GpuState, ask_gpus
from tests.machine.fake_machine import H100, ORIN, RTX_4090, lay_out, pynvml


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_the_stand_in_has_the_names_of_nvidias_module(site: Path) -> None:
    pynvml(site, [])
    own = [node for node in ast.parse((site / "pynvml.py").read_text()).body if hasattr(node, "name")]
    for node in own:
        if isinstance(node, ast.ClassDef):
            assert issubclass(getattr(nvidias, node.name), nvidias.NVMLError)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("nvml"):
            known = list(inspect.signature(getattr(nvidias, node.name)).parameters)
            assert [argument.arg for argument in node.args.args] == known[: len(node.args.args)]
    assert (nvidias.NVML_CLOCK_SM, nvidias.NVML_CLOCK_MEM, nvidias.NVML_TEMPERATURE_GPU) == (1, 2, 0)


def test_without_nvml_there_is_no_gpu_and_no_fault(site: Path) -> None:
    pynvml(site, None)
    assert ask_gpus() == ((), "")


def test_this_machine_is_asked_without_a_fault() -> None:
    gpus, fault = ask_gpus()
    assert fault == "" and all(gpu.name for gpu in gpus)


def test_every_field_is_read_in_its_unit(site: Path) -> None:
    pynvml(site, [RTX_4090])
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


def test_every_gpu_is_told_in_its_order(site: Path) -> None:
    pynvml(site, [H100, RTX_4090])
    gpus, fault = ask_gpus()
    assert [(gpu.name, gpu.persistence) for gpu in gpus] == [(H100["Name"], True), (RTX_4090["Name"], False)]
    assert fault == ""


def test_what_a_jetson_does_not_answer_is_none(site: Path) -> None:
    pynvml(site, [ORIN])
    assert ask_gpus() == ((GpuState(name="Orin (nvgpu)", driver="540.4.0", compute_capability="8.7"),), "")


def test_a_driver_that_does_not_answer_is_a_fault(site: Path) -> None:
    pynvml(site, "RM has detected an NVML/RM version mismatch.")
    assert ask_gpus() == ((), "NVIDIA's driver failed: RM has detected an NVML/RM version mismatch")


def test_a_lost_gpu_is_a_fault_and_the_others_are_told(site: Path) -> None:
    pynvml(site, [H100, "GPU is lost", RTX_4090])
    gpus, fault = ask_gpus()
    assert [gpu.name for gpu in gpus] == [H100["Name"], RTX_4090["Name"]]
    assert "GPU is lost (GPU 1)" in fault


def test_a_gpu_of_others_is_neither_told_nor_a_fault(site: Path) -> None:
    pynvml(site, [H100, "given to others"])
    gpus, fault = ask_gpus()
    assert (len(gpus), fault) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import time; time.sleep(600)", "did not respond within"),
        ("import os; os.abort()", "failed"),
        ("import os; os._exit(0)", "cannot be parsed"),
        ("raise ImportError('cut off')", "nvidia-ml-py does not work: cut off"),
    ],
)
def test_a_library_that_hangs_or_breaks_is_a_fault(site: Path, module: str, said: str) -> None:
    lay_out(site, {"pynvml.py": module})
    gpus, fault = ask_gpus(seconds=2)
    assert gpus == () and said in fault


def test_a_warning_of_a_stub_library_is_passed_over(site: Path) -> None:
    pynvml(site, [ORIN])
    path = site / "pynvml.py"
    path.write_text("print('WARNING: this is a stub library')\n" + path.read_text())
    (gpu,), fault = ask_gpus()
    assert (gpu.name, fault) == ("Orin (nvgpu)", "")


def test_a_module_in_the_current_folder_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, {"pynvml.py": f"open({str(tmp_path / 'ran')!r}, 'w')", "json.py": "1 / 0"})
    monkeypatch.chdir(tmp_path)
    ask_gpus()
    assert not (tmp_path / "ran").exists()


def test_a_python_that_cannot_be_started_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    gpus, fault = ask_gpus()
    assert gpus == () and "failed to start" in fault

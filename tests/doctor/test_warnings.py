from __future__ import annotations

from dataclasses import replace

import pytest

from sskt_edge.doctor.machine import Machine
from sskt_edge.doctor.warnings import warnings
from tests.machine.machines import H100, RTX_4090, conditions_of, machine_of

CUDA = ("CUDAExecutionProvider", "CPUExecutionProvider")
OLD = conditions_of("x86_64", replace(H100, driver="550.54.14"))
SWAP = "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install"


def only(machine: Machine) -> str:
    (warning,) = warnings(machine)
    return warning


def test_a_sound_machine_has_no_warning() -> None:
    server = conditions_of("x86_64", H100)
    installed = {"onnxruntime-gpu": "1.31.1", "cuda-bindings": "13.5.0"}
    assert warnings(machine_of(server, installed, tensorrt={"tensorrt": "11.4"}, cuda="13.0", providers=CUDA)) == []
    assert warnings(machine_of(conditions_of(), {"onnxruntime": "1.32.0", "cuda-bindings": "13.5.0"})) == []
    assert warnings(machine_of(conditions_of("aarch64", jetpack="6"), {"onnxruntime": "1.23.2"})) == []


def test_onnxruntime_gpu_without_its_provider_is_to_be_installed_again() -> None:
    server = machine_of(conditions_of("x86_64", H100), {"onnxruntime-gpu": "1.31.1"}, providers=CUDA[1:])
    assert "has no CUDA provider (available: CPUExecutionProvider)" in only(server)
    assert f"{SWAP} 'sskt-edge[gpu]'" in only(server)


def test_onnxruntime_gpu_without_a_gpu_takes_the_cpu() -> None:
    said = only(machine_of(conditions_of(), {"onnxruntime-gpu": "1.31.1"}, providers=CUDA))
    assert "no NVIDIA GPU is visible" in said
    assert f"{SWAP} 'sskt-edge[cpu]'" in said


def test_onnxruntime_gpu_for_a_newer_cuda_than_the_drivers_is_told() -> None:
    said = only(machine_of(OLD, {"onnxruntime-gpu": "1.31.1"}, providers=CUDA))
    assert "for CUDA 13, but the driver supports CUDA 12" in said
    assert "driver 580.65 or newer, or pip install 'onnxruntime-gpu<1.27'" in said
    assert warnings(machine_of(OLD, {"onnxruntime-gpu": "1.26.0"}, providers=CUDA)) == []


def test_the_wheel_of_a_jetson_is_for_its_own_cuda() -> None:
    orin = machine_of(conditions_of("aarch64", jetpack="6"), {"onnxruntime-gpu": "1.30.0"}, providers=CUDA)
    assert warnings(orin) == []


@pytest.mark.parametrize(
    ("conditions", "bindings", "command"),
    [
        (OLD, "13.5.0", "pip install 'tensorrt-cu12>=10.3' 'cuda-bindings>=12.6,<13'"),
        (conditions_of("aarch64", jetpack="6"), "13.5.0", "pip install 'cuda-bindings>=12.6,<13'"),
        (conditions_of("x86_64", replace(RTX_4090, driver="470.256.02")), "12.9.10", "driver 580.65 or newer."),
    ],
)
def test_a_driver_that_is_older_than_the_bindings_is_told(conditions: object, bindings: str, command: str) -> None:
    said = only(machine_of(conditions, {"cuda-bindings": bindings}))  # type: ignore[arg-type]
    assert said.startswith(f"cuda-bindings {bindings} is for CUDA {bindings[:2]}, but the driver supports CUDA ")
    assert command in said


def test_a_gpu_that_is_hidden_from_cuda_is_told() -> None:
    said = only(machine_of(conditions_of("x86_64", H100), {"cuda-bindings": "13.5.0"}))
    assert "The system shows NVIDIA H100 80GB HBM3, but CUDA shows no GPU." in said
    assert "CUDA_VISIBLE_DEVICES" in said


def test_what_the_libraries_say_of_themselves_is_passed_on() -> None:
    sick = replace(
        machine_of(replace(conditions_of(), gpu_fault="NVIDIA's driver fails: GPU is lost")),
        tensorrt_faults=("TensorRT 8.6.2 is installed, but sskt-edge needs 10.3 or newer.",),
        cuda_fault="CUDA failed when counting the GPUs",
    )
    assert [said.partition(".")[0] for said in warnings(sick)] == [
        "TensorRT 8",
        "NVIDIA's driver fails: GPU is lost",
        "CUDA failed when counting the GPUs",
    ]


def test_bindings_of_nvml_that_are_broken_are_to_be_installed_again() -> None:
    said = only(machine_of(replace(conditions_of(), gpu_fault="nvidia-ml-py does not work: cut off")))
    assert "pip install --force-reinstall nvidia-ml-py" in said and "driver" not in said

"""What is advised for each kind of device; no such device ran it, but for x86-64 without a GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sskt_edge.machine.conditions import Conditions
from sskt_edge.machine.device import CudaGpu, Packages, device_of, gpu_of
from sskt_edge.machine.gpus import GpuState
from tests.machine.machines import H100, RTX_4090, conditions_of

CUDA_12 = "'cuda-bindings>=12.6,<13'"


def everything(conditions: Conditions) -> str:
    device = device_of(conditions, gpu_of(conditions))
    assert device.tensorrt is not None
    return (device.onnxruntime + device.tensorrt).command()


@pytest.mark.parametrize(
    ("conditions", "command"),
    [
        (conditions_of(), "pip install 'sskt-edge[cpu,rtx]'"),
        (conditions_of("x86_64", RTX_4090), "pip install 'sskt-edge[gpu,rtx]'"),
        (conditions_of("x86_64", H100), "pip install 'sskt-edge[gpu,tensorrt]'"),
        (
            conditions_of("x86_64", replace(RTX_4090, driver="550.54.14")),
            f"pip install 'onnxruntime-gpu<1.27' 'tensorrt-rtx-cu12>=1.2' {CUDA_12}",
        ),
        (
            conditions_of("x86_64", replace(H100, driver="535.183.01")),
            f"pip install 'onnxruntime-gpu<1.27' 'tensorrt-cu12>=10.3' {CUDA_12}",
        ),
        (conditions_of("aarch64", replace(H100, name="NVIDIA GH200 480GB")), "pip install 'sskt-edge[cpu,tensorrt]'"),
        (conditions_of("aarch64", jetpack="6"), f"pip install 'sskt-edge[cpu]' {CUDA_12}"),
        (conditions_of("aarch64", jetpack="7"), "pip install 'sskt-edge[cpu]' 'cuda-bindings>=13,<14'"),
    ],
)
def test_every_kind_of_device_has_its_own_command(conditions: Conditions, command: str) -> None:
    assert everything(conditions) == command


@pytest.mark.parametrize(
    "gpu",
    [
        GpuState(name="NVIDIA RTX A1000", driver="580.95.05", compute_capability="8.6"),
        GpuState(name="Quadro RTX 4000", driver="580.95.05", compute_capability="7.5"),
        GpuState(name="NVIDIA RTX PRO 6000 Blackwell Workstation Edition", driver="590.1", compute_capability="12.0"),
    ],
)
def test_cards_that_are_called_rtx_take_tensorrt_for_rtx(gpu: GpuState) -> None:
    assert "[gpu,rtx]" in everything(conditions_of("x86_64", gpu))


@pytest.mark.parametrize(
    ("name", "capability"), [("NVIDIA A100-SXM4-80GB", "8.0"), ("Tesla T4", "7.5"), ("NVIDIA L4", "8.9")]
)
def test_cards_of_a_data_centre_take_tensorrt(name: str, capability: str) -> None:
    gpu = GpuState(name=name, driver="580.95.05", compute_capability=capability)
    assert "[gpu,tensorrt]" in everything(conditions_of("x86_64", gpu))


@pytest.mark.parametrize(
    ("conditions", "why_not"),
    [
        (conditions_of("aarch64"), "needs an NVIDIA GPU"),
        (conditions_of("aarch64", jetpack="5"), "JetPack 6.1 or newer"),
        (conditions_of("x86_64", replace(RTX_4090, driver="470.256.02")), "driver 525 or newer"),
        (
            conditions_of("x86_64", GpuState(name="Tesla V100", driver="580.95.05", compute_capability="7.0")),
            "7.5 or newer",
        ),
    ],
)
def test_where_there_is_no_tensorrt_it_says_why(conditions: Conditions, why_not: str) -> None:
    device = device_of(conditions, gpu_of(conditions))
    assert device.tensorrt is None
    assert why_not in device.why_not


def test_what_cuda_says_counts_more_than_what_the_system_shows() -> None:
    cuda = CudaGpu("NVIDIA H100 80GB HBM3", "9.0", "12.4", "12.9")
    gpu = gpu_of(conditions_of("x86_64", RTX_4090), cuda)
    assert gpu is not None and (gpu.name, gpu.compute_capability, gpu.cuda) == ("NVIDIA H100 80GB HBM3", "9.0", 12)
    assert gpu_of(conditions_of(), cuda) == gpu


@pytest.mark.parametrize(
    ("driver", "cuda"), [("580.65.06", 13), ("575.57.08", 12), ("525.60.13", 12), ("520.61", 11), (None, None)]
)
def test_a_drivers_cuda_follows_from_its_number(driver: str | None, cuda: int | None) -> None:
    gpu = gpu_of(conditions_of("x86_64", GpuState(name="a card", driver=driver)))
    assert gpu is not None and gpu.cuda == cuda


def test_the_driver_of_a_jetson_is_that_of_its_jetpack() -> None:
    orin = GpuState(name="Orin (nvgpu)", driver="540.4.0", compute_capability="8.7")
    gpu = gpu_of(conditions_of("aarch64", orin, jetpack="7"))
    assert gpu is not None and (gpu.name, gpu.compute_capability, gpu.cuda) == ("Orin (nvgpu)", "8.7", 13)


def test_packages_add_up_to_one_command() -> None:
    both = Packages(("train", "cpu")) + Packages(("cpu", "demo"), ("numpy<2",))
    assert both.command() == "pip install 'sskt-edge[train,cpu,demo]' 'numpy<2'"
    assert Packages().command() == ""

"""Machines as values, for what is decided of them."""

from __future__ import annotations

from collections.abc import Mapping

from sskt_edge.common.packages import extras, packages_of
from sskt_edge.doctor.machine import Machine
from sskt_edge.machine.conditions import Conditions, Processor
from sskt_edge.machine.device import CudaGpu, device_of, gpu_of
from sskt_edge.machine.gpus import GpuState
from sskt_edge.machine.jetson import Jetson

RTX_4090 = GpuState(name="NVIDIA GeForce RTX 4090", driver="580.95.05", compute_capability="8.9")
H100 = GpuState(name="NVIDIA H100 80GB HBM3", driver="580.95.05", compute_capability="9.0")
TRAIN = dict.fromkeys(packages_of("train"), "1.0")


def conditions_of(architecture: str = "x86_64", *gpus: GpuState, jetpack: str | None = None) -> Conditions:
    """Of a machine with these GPUs, or of a Jetson."""
    jetson = Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", jetpack, "15W", 306, 306, 1020, 49.5)
    return Conditions(
        system="Ubuntu 22.04.5 LTS",
        kernel="5.15.148-tegra",
        architecture=architecture,
        memory_mib=7619,
        processor=Processor(None, 6, None, "schedutil", 729.6, 1728),
        gpus=gpus,
        jetson=jetson if jetpack else None,
        gpu_fault="",
    )


def machine_of(
    conditions: Conditions,
    installed: Mapping[str, str] | None = None,
    *,
    tensorrt: Mapping[str, str] | None = None,
    cuda: str | None = None,
    providers: tuple[str, ...] = (),
    system_packages: bool = False,
) -> Machine:
    """A machine where just this is installed, whose CUDA answers if it is told by its version."""
    shown = gpu_of(conditions)
    answer = CudaGpu(shown.name, shown.compute_capability or "8.7", cuda, cuda) if shown and cuda else None
    gpu = gpu_of(conditions, answer)
    return Machine(
        python="3.10.12",
        system_packages=system_packages,
        packages={name: (installed or {}).get(name) for names in extras().values() for name in names},
        providers=providers,
        tensorrt=dict(tensorrt or {}),
        tensorrt_faults=(),
        gpu=gpu,
        cuda=answer,
        cuda_fault="",
        device=device_of(conditions, gpu),
        conditions=conditions,
    )

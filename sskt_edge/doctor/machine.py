"""Examine this machine: its hardware, what is installed on it, and what the backends can use."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.common.errors import MissingExtraError
from sskt_edge.common.packages import extras, packages_of, version_of
from sskt_edge.inference.backend import backend_named
from sskt_edge.machine.conditions import Conditions, conditions
from sskt_edge.machine.device import Device, Gpu, device_of, gpu_of

if TYPE_CHECKING:
    from sskt_edge.machine.device import CudaGpu


@dataclass(frozen=True)
class Machine:
    """The findings on this machine.

    Attributes:
        python: the version of Python.
        system_packages: whether this Python can import the system's packages, such as TensorRT on a Jetson.
        packages: name → version, or None if it is not installed; for the packages of every extra.
        providers: the providers of ONNX Runtime, in its order; empty if it is not installed. A provider in the list may
            still fail to start.
        tensorrt: "tensorrt" and "tensorrt_rtx", if they load and are new enough → version.
        tensorrt_faults: what is wrong with those that are installed but do not load or are too old.
        gpu: the GPU that CUDA uses; if CUDA does not respond, the first one that the system shows; or None.
        cuda: the GPU that CUDA uses; None if CUDA does not respond or cuda-bindings is not installed.
        cuda_fault: how CUDA failed, or "".
        device: the kind of this device.
        conditions: the processors, their clocks, and the system.
        backends: name in the catalogue → the providers that the backend was built for; empty if it is not installed.
    """

    python: str
    system_packages: bool
    packages: dict[str, str | None]
    providers: tuple[str, ...]
    tensorrt: dict[str, str]
    tensorrt_faults: tuple[str, ...]
    gpu: Gpu | None
    cuda: CudaGpu | None
    cuda_fault: str
    device: Device
    conditions: Conditions
    backends: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def missing(self, extra: str) -> list[str]:
        """The packages of an extra that are not installed."""
        return [name for name in packages_of(extra) if self.packages.get(name) is None]

    def has_onnxruntime(self) -> bool:
        """Whether one of the extras that install it is installed."""
        return not self.missing("cpu") or not self.missing("gpu")

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        return {**vars(self), "device": self.device.name}


def look(root: Path = Path("/")) -> Machine:
    """Examine this machine.

    Args:
        root: the folder that holds proc, sys, etc and var.
    """
    found = conditions(root)
    cuda, cuda_fault = _cuda()
    gpu = gpu_of(found, cuda)
    packages = {name: version_of(name) for names in extras().values() for name in names}
    tensorrt, tensorrt_faults = _tensorrt()
    return Machine(
        python=platform.python_version(),
        system_packages=_sees_system_packages(),
        # JetPack's TensorRT may come without package metadata.
        packages={**packages, "tensorrt": packages.get("tensorrt") or tensorrt.get("tensorrt")},
        providers=_providers(),
        tensorrt=tensorrt,
        tensorrt_faults=tensorrt_faults,
        gpu=gpu,
        cuda=cuda,
        cuda_fault=cuda_fault,
        device=device_of(found, gpu),
        conditions=found,
        backends={name: _providers_of(name) for name in BACKENDS},
    )


def _providers() -> tuple[str, ...]:
    try:
        import onnxruntime
    except ImportError:
        return ()
    return tuple(onnxruntime.get_available_providers())


def _providers_of(backend: str) -> tuple[str, ...]:
    try:
        return backend_named(backend).providers()
    except Exception:  # not installed, or broken: a broken library may raise anything
        return ()


def _tensorrt() -> tuple[dict[str, str], tuple[str, ...]]:
    from sskt_edge.inference.backends.tensorrt.flavours import choose

    good, faults = {}, []
    for name in ("tensorrt", "tensorrt_rtx"):
        if find_spec(name) is None:
            continue
        try:
            flavour = choose(name)
            flavour.module()
            good[name] = flavour.version
        except Exception as error:  # a broken library may raise anything
            faults.append(str(error))
    return good, tuple(faults)


def _cuda() -> tuple[CudaGpu | None, str]:
    from sskt_edge.inference.backends.tensorrt.cuda import device

    try:
        return device(), ""
    except MissingExtraError:
        return None, ""
    except Exception as error:  # a broken driver may raise anything
        return None, str(error)


def _sees_system_packages() -> bool:
    if sys.prefix == sys.base_prefix:
        return True
    try:
        settings = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    return "include-system-site-packages = true" in settings.lower()

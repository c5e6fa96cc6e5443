"""What this machine is, what is installed on it, and what the verbs can do with that."""

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
    """What was found.

    Attributes:
        python: its version.
        system_packages: this Python can import the system's packages, as Jetson's TensorRT is one.
        packages: name → version, None where it is not installed; those of every extra.
        providers: of ONNX Runtime, in its order; empty if it is not installed. A provider in the list may still fail
            to start.
        tensorrt: "tensorrt" and "tensorrt_rtx", if they load and are new enough → version.
        tensorrt_faults: what is wrong with those that are installed but do not load, or are too old.
        gpu: the GPU that CUDA uses; if CUDA does not answer, the first one that the system shows; or None.
        cuda: the GPU that CUDA uses; None if CUDA does not answer or cuda-bindings is not installed.
        cuda_fault: how CUDA failed, or "".
        device: what kind of device this is.
        conditions: the processors, how they are clocked, and the system.
        backends: by their names in the catalogue → what each was built to run on; nothing where it is not installed.
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
        """Either of the extras that bring it is installed."""
        return not self.missing("cpu") or not self.missing("gpu")

    def as_json(self) -> dict[str, Any]:
        """What as_json makes JSON of."""
        return {**vars(self), "device": self.device.name}


def look(root: Path = Path("/")) -> Machine:
    """Look at this machine.

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
        # JetPack's may come without the metadata of a package.
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
    except Exception:  # not installed; or broken, and then it may raise anything
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

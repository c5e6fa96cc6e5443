"""What this machine is, what is installed on it, and what the verbs can do with that."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.common.errors import MissingExtraError
from sskt_edge.common.packages import PACKAGES, version_of
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
        system_packages: this Python sees the system's packages: it is the system's, or its environment lets them in.
        packages: name → version, None where it is not installed; those of every extra.
        providers: that ONNX Runtime was built for, in its order; empty without it. One that is listed need not start.
        tensorrt: the flavours of TensorRT that load and are new enough, "tensorrt", "tensorrt_rtx" → version.
        tensorrt_faults: what is wrong with those that are there and do not.
        gpu: that CUDA takes, else the first that the system shows, or None.
        cuda: the GPU that CUDA takes, or None where CUDA does not answer or cuda-bindings is not installed.
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
        return [name for name in PACKAGES[extra] if self.packages[name] is None]

    def has_onnxruntime(self) -> bool:
        """Either of its packages is installed."""
        return len(self.missing("onnxruntime")) < len(PACKAGES["onnxruntime"])

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "conditions": self.conditions.as_json(), "device": self.device.name}


def look(root: Path = Path("/")) -> Machine:
    """Look at this machine.

    Args:
        root: the folder that holds proc, sys, etc and var.
    """
    found = conditions(root)
    cuda, cuda_fault = _cuda()
    gpu = gpu_of(found, cuda)
    packages = {name: version_of(name) for names in PACKAGES.values() for name in names}
    tensorrt, tensorrt_faults = _tensorrt()
    return Machine(
        python=platform.python_version(),
        system_packages=_sees_system_packages(),
        # JetPack's may come without the metadata of a package.
        packages={**packages, "tensorrt": packages["tensorrt"] or tensorrt.get("tensorrt")},
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

"""TensorRT and TensorRT for RTX as a backend."""

from __future__ import annotations

from contextlib import suppress

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.common.errors import SsktEdgeError
from sskt_edge.inference.backend import Backend
from sskt_edge.inference.backends.tensorrt import cuda, flavours
from sskt_edge.inference.backends.tensorrt.cache import cached_engine
from sskt_edge.inference.backends.tensorrt.session import TensorRtSession
from sskt_edge.inference.backends.tensorrt.versions import providers, versions
from sskt_edge.inference.bundle_engines import PRECISIONS, look_at_engines, open_engine
from sskt_edge.inference.session import Session
from sskt_edge.machine.conditions import conditions
from sskt_edge.machine.device import gpu_of


class TensorRtBackend(Backend):
    """Runs the engines of a bundle, and builds an engine from an ONNX file into the user's cache."""

    name = "tensorrt"

    def providers(self) -> tuple[str, ...]:
        """CUDA, if a TensorRT is installed."""
        return providers()

    def versions(self, provider: str = "") -> dict[str, str]:  # noqa: ARG002 (there is one)
        """The versions of the TensorRT that fits this machine, and of CUDA."""
        return versions(flavours.choose())

    def open_file(
        self,
        content: bytes,
        shape: tuple[int, ...],
        max_batch: int,
        *,
        provider: str = "auto",  # noqa: ARG002 (there is one)
        threads: int = 0,  # noqa: ARG002 (of a CPU)
        precision: str = "fp32",
        fixed_batch: bool = False,  # noqa: ARG002 (every run of such an engine has exactly max_batch images)
    ) -> Session:
        """See Backend.open_file; `precision` is the graph's and is only recorded."""
        flavour = flavours.choose()
        plan = cached_engine(content, shape, max_batch, precision, flavour)
        return TensorRtSession(plan, shape, max_batch, flavour=flavour, precision=precision)

    def open_precision(
        self,
        bundle: Bundle,
        precision: str,
        provider: str = "auto",  # noqa: ARG002 (there is one)
        threads: int = 0,  # noqa: ARG002 (of a CPU)
        trust_engines: bool = False,
    ) -> Session:
        """A session of the bundle's engine for this machine."""
        bundle.precision(precision)
        return open_engine(bundle, precision, trust_engines)

    def ways(self, bundle: Bundle) -> list[tuple[str, str]]:
        """The precisions that have an engine, or for which one could be built; opening the latter says how."""
        engines = look_at_engines(bundle)
        built = {engine.sidecar.network for engine in engines.whole}
        if flavours.installed() and (engines.whole or engines.broken or _has_gpu()):
            built |= {name for name in PRECISIONS if not engines.broken_of(name)}
        return [(precision, "cuda") for precision in bundle.manifest.precisions if precision in built]

    def broken(self, bundle: Bundle, precision: str | None = None) -> dict[str, str]:
        """The plans whose sidecars are missing, broken, or belong to another file."""
        engines = look_at_engines(bundle)
        plans = [plan for one in ([precision] if precision else PRECISIONS) for plan in engines.broken_of(one)]
        return {plan: str(engines.broken[plan]) for plan in plans}


def _has_gpu() -> bool:
    """Whether CUDA can use a GPU, or the system has one that CUDA cannot use."""
    with suppress(SsktEdgeError):  # cuda-bindings is not installed, or CUDA fails
        if cuda.device() is not None:
            return True
    return gpu_of(conditions()) is not None

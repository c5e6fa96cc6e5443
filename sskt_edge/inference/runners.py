"""What runs ONNX files here: each library with each thing that it runs on."""

from __future__ import annotations

from dataclasses import dataclass

from sskt_edge.common.errors import MissingExtraError
from sskt_edge.inference.backends import BACKENDS
from sskt_edge.inference.backends import onnxruntime as onnxruntime_backend
from sskt_edge.inference.backends import openvino as openvino_backend
from sskt_edge.inference.session import Session


@dataclass(frozen=True)
class Runner:
    """A library, and what it runs on.

    Attributes:
        backend: the library, a key of BACKENDS.
        provider: what it runs on.
    """

    backend: str
    provider: str

    @property
    def name(self) -> str:
        """Such as "onnxruntime-cpu"."""
        return f"{self.backend}-{self.provider}"

    def open(self, content: bytes, shape: tuple[int, ...], max_batch: int, threads: int = 0) -> Session:
        """A session of an ONNX file.

        Raises:
            NetworkError: the library does not take the network.
            InputError: the provider does not start.
        """
        return BACKENDS[self.backend](content, shape, max_batch, provider=self.provider, threads=threads)


# Which precisions a runner takes; the first runner is the one that every export is judged by.
_TAKES: dict[Runner, tuple[str, ...]] = {
    Runner("onnxruntime", "cpu"): ("fp32", "fp16", "int8", "int8-cpu"),
    Runner("openvino", "cpu"): ("fp32", "fp16", "int8"),
    Runner("onnxruntime", "cuda"): ("fp32", "fp16"),
    # No fp32: this provider has no switch for TF32, so its answers prove nothing of fp32.
    Runner("onnxruntime", "tensorrt"): ("fp16", "int8"),
}


def runners_here() -> tuple[Runner, ...]:
    """The runners whose library is installed; whether a provider starts shows when a session is opened."""
    return tuple(runner for runner in _TAKES if _is_installed(runner))


def runners_of(precision: str, runners: tuple[Runner, ...]) -> tuple[Runner, ...]:
    """Those that take a precision's file."""
    return tuple(runner for runner in runners if precision in _TAKES[runner])


def _is_installed(runner: Runner) -> bool:
    try:
        if runner.backend == "onnxruntime":
            return runner.provider in onnxruntime_backend.providers()
        return bool(openvino_backend.versions())
    except MissingExtraError:
        return False

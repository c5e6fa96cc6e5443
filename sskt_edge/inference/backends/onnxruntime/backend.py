"""ONNX Runtime as a backend."""

from __future__ import annotations

from sskt_edge.inference.backend import Backend
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.backends.onnxruntime.versions import providers, versions
from sskt_edge.inference.session import Session


class OnnxRuntimeBackend(Backend):
    """Runs the ONNX files of a bundle."""

    name = "onnxruntime"

    def providers(self) -> tuple[str, ...]:
        """The providers that the installed ONNX Runtime was built for."""
        return providers()

    def versions(self, provider: str = "") -> dict[str, str]:
        """The version of ONNX Runtime, and of TensorRT if that is the provider."""
        return versions(provider)

    def open_file(
        self,
        content: bytes,
        shape: tuple[int, ...],
        max_batch: int,
        *,
        provider: str = "auto",
        threads: int = 0,
        precision: str = "fp32",
        fixed_batch: bool = False,
    ) -> Session:
        """See Backend.open_file; `precision` is only recorded."""
        return OnnxRuntimeSession(
            content,
            shape,
            max_batch,
            provider=provider,
            threads=threads,
            precision=precision,
            fixed_batch=fixed_batch,
        )

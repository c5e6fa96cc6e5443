"""OpenVINO as a backend."""

from __future__ import annotations

from sskt_edge.inference.backend import Backend
from sskt_edge.inference.backends.openvino.session import OpenVinoSession
from sskt_edge.inference.backends.openvino.versions import versions
from sskt_edge.inference.session import Session


class OpenVinoBackend(Backend):
    """Runs the ONNX files of a bundle."""

    name = "openvino"

    def providers(self) -> tuple[str, ...]:
        """The CPU, if OpenVINO is installed."""
        return ("cpu",) if versions() else ()

    def versions(self, provider: str = "") -> dict[str, str]:  # noqa: ARG002 (the CPU needs no library of its own)
        """The version of OpenVINO."""
        return versions()

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
        """See Backend.open_file; `precision` is the precision that OpenVINO computes in, "fp32" or "bf16"."""
        return OpenVinoSession(
            content,
            shape,
            max_batch,
            provider=provider,
            threads=threads,
            precision=precision,
            fixed_batch=fixed_batch,
        )

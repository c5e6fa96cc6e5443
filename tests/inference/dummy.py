"""A backend as one would add it: a class here, and an entry in the catalogue."""

from __future__ import annotations

import pytest

from sskt_edge.catalogue.backends import BACKENDS, BackendEntry, Provider
from sskt_edge.inference.backend import Backend
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.session import Session


class DummySession(OnnxRuntimeSession):
    backend = "dummy"

    def __init__(self, content: bytes, shape: tuple[int, ...], max_batch: int) -> None:
        super().__init__(content, shape, max_batch, provider="cpu", threads=1)
        self.provider = "abacus"


class DummyBackend(Backend):
    name = "dummy"

    def providers(self) -> tuple[str, ...]:
        return ("abacus",)

    def versions(self, provider: str = "") -> dict[str, str]:
        return {"dummy": "1"}

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
        return DummySession(content, shape, max_batch)


ENTRY = BackendEntry(
    "dummy",
    "ONNX files by hand",
    f"{__name__}:DummyBackend",
    title="Dummy",
    providers=(Provider("abacus", "Dummy on an abacus", ("fp32",), 0.25),),
)


def add_dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "dummy", ENTRY)

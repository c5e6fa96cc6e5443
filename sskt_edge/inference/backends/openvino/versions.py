"""Which OpenVINO is installed; it is imported without its telemetry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from sskt_edge.common.errors import MissingExtraError
from sskt_edge.common.packages import install_hint

_TELEMETRY = "openvino_telemetry"


def library() -> ModuleType:
    """OpenVINO, imported without its telemetry, which would report to its makers and leave files in the home folder.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        with _hidden(_TELEMETRY):
            import openvino
    except ImportError as error:
        raise MissingExtraError(f"This needs openvino, which is not installed. {install_hint('openvino')}.") from error
    module: ModuleType = openvino
    return module


def versions() -> dict[str, str]:
    """The version of OpenVINO.

    Raises:
        MissingExtraError: it is not installed.
    """
    return {"openvino": str(library().__version__).partition("-")[0]}


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Hide a module from imports inside this context, unless it has been imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]

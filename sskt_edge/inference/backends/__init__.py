"""The libraries that can run a network, one file each; a library is imported when its session is opened."""

from __future__ import annotations

from collections.abc import Callable

from sskt_edge.inference.backends.onnxruntime import OnnxRuntimeSession
from sskt_edge.inference.backends.openvino import OpenVinoSession
from sskt_edge.inference.session import Session

BACKENDS: dict[str, Callable[..., Session]] = {"onnxruntime": OnnxRuntimeSession, "openvino": OpenVinoSession}

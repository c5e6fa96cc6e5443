"""The int8 file of a source: its ONNX file, quantised between its first convolution and its last layer."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from sskt_edge.common.packages import version_of
from sskt_edge.common.progress import QUIET

# Increase it when the same network, images and libraries give another file.
_VERSION = 1


def int8_from_source(content: bytes, images: NDArray[np.uint8]) -> bytes:
    """Quantise a source's ONNX file. Returns the bytes of an ONNX file.

    The first and the last layer with weights stay in float: they cost accuracy, and are a small part of the work.

    Args:
        content: the file in fp32, whose input is uint8 [N,size,size,3].
        images: uint8 [n,size,size,3], whose values the ranges cover.
    """
    return _made(content, images.tobytes(), images.shape)


def int8_facts(keys: bytes) -> dict[str, Any]:
    """All that an int8 file depends on besides the source: a label is another one if any of it changes.

    Args:
        keys: the store's keys of the views that it is calibrated with.
    """
    return {
        "form": "uint8 by int8, ends in float",
        "ranges": "minmax",
        "calibration": hashlib.sha256(keys).hexdigest(),
        "version": _VERSION,
        "made_by": {"onnx": onnx.__version__, "onnxruntime": quantiser_version(), "torch": version_of("torch")},
    }


def quantiser_version() -> str | None:
    """The version of ONNX Runtime, which makes the file whatever library runs it; None if it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return str(onnxruntime.__version__)


@lru_cache(maxsize=2)  # each library that runs it, and each of several queries about the same images, asks for it
def _made(content: bytes, images: bytes, shape: tuple[int, ...]) -> bytes:
    from sskt_edge.convert.calibration import ranges
    from sskt_edge.convert.int8_from_fp32 import CPU, prepared, quantised

    model = prepared(content)
    table = ranges(model, np.frombuffer(images, dtype=np.uint8).reshape(shape), "minmax", QUIET)
    return quantised(model, table, CPU, _between_ends(model))


def _between_ends(model: onnx.ModelProto) -> list[str]:
    """The nodes to quantise: all but the first and the last with weights."""
    from sskt_edge.convert.int8_from_fp32 import layers

    nodes = [layer.node for layer in layers(model)]
    kinds = {node.name: node.op_type for node in model.graph.node}
    weighted = [node for node in nodes if kinds[node] != "Add"]
    return [node for node in nodes if node not in (weighted[0], weighted[-1])]

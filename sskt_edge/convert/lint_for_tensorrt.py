"""Find what TensorRT would refuse in an ONNX file before an engine is built.

The rules are those of explicit quantisation in TensorRT 10 and later: zero points are zero, activations have one scale
per tensor, only weights may have one per channel, and only weights and activations are quantised.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

_QUANTISE, _DEQUANTISE = "QuantizeLinear", "DequantizeLinear"


def lint_for_tensorrt(content: bytes) -> list[str]:
    """One line for each thing that TensorRT would refuse; empty if there is nothing.

    Args:
        content: an ONNX file.
    """
    graph = onnx.load_from_string(content).graph
    constants = {tensor.name: tensor for tensor in graph.initializer} | {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    return [
        *_of_pixels(graph),
        *_of_types(graph),
        *(fault for node in graph.node for fault in _of_quantisation(node, graph, constants)),
    ]


def _of_pixels(graph: onnx.GraphProto) -> Iterator[str]:
    """TensorRT allows uint8 for inputs only: nodes that compute with it must come after a Cast."""
    bytes_in = {one.name for one in graph.input if one.type.tensor_type.elem_type == onnx.TensorProto.UINT8}
    for node in graph.node:
        if bytes_in & set(node.input) and node.op_type not in ("Cast", "Shape"):
            yield f"{_place(node)} reads the uint8 input directly; a Cast must come first"


def _of_types(graph: onnx.GraphProto) -> Iterator[str]:
    for tensor in graph.initializer:
        if tensor.data_type in (onnx.TensorProto.DOUBLE, onnx.TensorProto.STRING):
            yield f"tensor '{tensor.name}' is of type {_type(tensor.data_type)}"


def _of_quantisation(
    node: onnx.NodeProto, graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]
) -> Iterator[str]:
    if node.op_type == "Pad" and len(node.input) > 2 and _made_by(graph, node.input[2]) == _DEQUANTISE:
        yield f"{_place(node)} pads with a quantised value"
    if node.op_type not in (_QUANTISE, _DEQUANTISE):
        return
    weight = constants.get(node.input[0])
    if weight is not None and weight.data_type == onnx.TensorProto.INT32:
        yield f"{_place(node)} makes an int32 bias; biases must stay floats"
        return
    if len(node.input) > 2 and (point := constants.get(node.input[2])) is not None:
        if point.data_type not in (onnx.TensorProto.INT8, onnx.TensorProto.FLOAT8E4M3FN):
            yield f"{_place(node)} has a zero point of type {_type(point.data_type)}; only INT8 is supported"
        elif np.any(numpy_helper.to_array(point)):
            yield f"{_place(node)} has a zero point that is not zero"
    elif len(node.input) < 3 and weight is None and node.op_type == _QUANTISE:
        yield f"{_place(node)} has no zero point, which makes its output UINT8; only INT8 is supported"
    scale = constants.get(node.input[1])
    if scale is None:
        yield f"{_place(node)} has a scale that is not a constant"
    elif numpy_helper.to_array(scale).size > 1 and not _is_weight(node, graph, constants):
        yield f"{_place(node)} gives an activation one scale per channel; only one per tensor is supported"


def _is_weight(node: onnx.NodeProto, graph: onnx.GraphProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Whether the node quantises a weight, either directly or after its QuantizeLinear."""
    name = node.input[0]
    if name in constants:
        return True
    before = next((other for other in graph.node if name in other.output), None)
    return before is not None and before.op_type == _QUANTISE and before.input[0] in constants


def _made_by(graph: onnx.GraphProto, name: str) -> str:
    return next((node.op_type for node in graph.node if name in node.output), "")


def _place(node: onnx.NodeProto) -> str:
    return f"{node.op_type} '{node.name or node.output[0]}'"


def _type(number: int) -> str:
    name: str = onnx.TensorProto.DataType.Name(number)
    return name

"""Prepend preprocessing to somebody else's ONNX graph, so that it takes bytes as every session does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sskt_edge.common.errors import NetworkError
from sskt_edge.data.inputs.pixels import Pixels

# From this opset on, Resize accepts sizes without scales.
_RESIZE_OPSET = 13
_PREFIX = "sskt_edge_pixels"
_LARGEST_SIDE, _LARGEST_BATCH = 4096, 1024
_MOST_PIXELS = 1 << 27  # in one batch: more would take gigabytes at the first run


@dataclass(frozen=True)
class OnnxInput:
    """The input of an ONNX network.

    Attributes:
        input: the input's name.
        takes_bytes: whether it is uint8 [B,S,S,3]; otherwise it is float32 [B,3,S,S].
        size: S; None if it may be any.
        batch: B; None if it may be any.
    """

    input: str
    takes_bytes: bool
    size: int | None
    batch: int | None


def onnx_input_of(model: onnx.ModelProto, where: str) -> OnnxInput:
    """Determine the network's input.

    Raises:
        NetworkError: the input is not one batch of square images or is too large, or the first output is not logits.
    """
    given = {tensor.name for tensor in model.graph.initializer}  # old files also list the weights as inputs
    inputs = [value for value in model.graph.input if value.name not in given]
    first = model.graph.output[0] if model.graph.output else None
    if len(inputs) == 1 and first is not None and _gives_logits(first):
        kind, shape = inputs[0].type.tensor_type.elem_type, _shape(inputs[0])
        for takes, takes_bytes, channels, sides in (
            (TensorProto.UINT8, True, 3, (1, 2)),
            (TensorProto.FLOAT, False, 1, (2, 3)),
        ):
            if kind == takes and len(shape) == 4 and shape[channels] == 3 and shape[sides[0]] == shape[sides[1]]:
                onnx_input = OnnxInput(inputs[0].name, takes_bytes, shape[sides[0]], shape[0])
                _refuse_too_large(onnx_input, where)
                return onnx_input
    got = "; ".join(_written(value) for value in (*inputs, *model.graph.output)) or "nothing"
    raise NetworkError(
        f"'{where}': got {got}; expected one input, uint8 [B,S,S,3] or float [B,3,S,S], and logits, float [B,classes], "
        f"as first output. Export the network in one of these forms."
    )


def _refuse_too_large(takes: OnnxInput, where: str) -> None:
    """Refuse an input so large that the first run would use up the memory."""
    side, batch = takes.size or 1, takes.batch or 1
    if side > _LARGEST_SIDE or batch > _LARGEST_BATCH or batch * side**2 > _MOST_PIXELS:
        raise NetworkError(
            f"'{where}': its input has side {takes.size or 'any'} and batch {takes.batch or 'any'}; expected a side of "
            f"at most {_LARGEST_SIDE}, a batch of at most {_LARGEST_BATCH}, and {_MOST_PIXELS:,} pixels in a batch. "
            f"Export the network with a smaller input, or for batches of any size."
        )


def onnx_with_pixels(
    model: onnx.ModelProto, takes: OnnxInput, image_size: int, input_size: int, pixels: Pixels | None
) -> bytes:
    """The network with only its first output and with uint8 [N,image_size,image_size,3] as input, N symbolic.

    Args:
        model: the network; it is not changed.
        takes: its input.
        image_size: the side of the incoming images.
        input_size: the side of the network's own input; images are resized to it as Pixels resizes them.
        pixels: the mean and std for a network that takes floats; None for one that takes bytes.

    Raises:
        NetworkError: the graph's opset is too old for resizing.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if image_size != input_size and opset < _RESIZE_OPSET:
        raise NetworkError(
            f"This ONNX file has opset {opset}, but resizing images from {image_size} to {input_size} inside it needs "
            f"opset {_RESIZE_OPSET}. Export it again, or set sources.NAME.view = 'native', which resizes outside."
        )
    nodes = _nodes(takes.input, image_size, input_size, pixels)
    own = list(graph.node)
    del graph.node[:], graph.output[1:], graph.value_info[:]
    graph.node.extend([*nodes, *own])
    graph.output[0].type.tensor_type.ClearField("shape")
    images = helper.make_tensor_value_info(f"{_PREFIX}_images", TensorProto.UINT8, ["N", image_size, image_size, 3])
    place = next(at for at, value in enumerate(graph.input) if value.name == takes.input)
    graph.input[place].CopyFrom(images)
    return bytes(changed.SerializeToString())


def _nodes(output: str, image_size: int, input_size: int, pixels: Pixels | None) -> list[onnx.NodeProto]:
    """The nodes from the images to the network's own input."""
    chain = _Chain(f"{_PREFIX}_images")
    if image_size != input_size or pixels is not None:
        chain.add("Cast", to=TensorProto.FLOAT)
        chain.add("Transpose", perm=[0, 3, 1, 2])
    if image_size != input_size:
        # Scales could lose a pixel to rounding, so sizes are used; the batch size is known only at run time.
        start = chain.last
        chain.add("Shape")
        chain.add("Slice", chain.constant(np.array([0])), chain.constant(np.array([1])))
        chain.add("Concat", chain.constant(np.array([3, input_size, input_size])), axis=0)
        sizes, chain.last = chain.last, start
        chain.add("Resize", "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
    if pixels is not None:
        chain.add("Mul", chain.constant(pixels.scale.numpy()))
        chain.add("Add", chain.constant(pixels.shift.numpy()))
    elif image_size != input_size:
        chain.add("Round")
        chain.add("Transpose", perm=[0, 2, 3, 1])
        chain.add("Cast", to=TensorProto.UINT8)
    chain.add("Identity")
    chain.nodes[-1].output[0] = output
    return chain.nodes


class _Chain:
    """A chain of nodes, each of which reads the output of the one before."""

    def __init__(self, first: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.last = first

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Add a Constant node and return its output's name (in old files an initializer would need an input too)."""
        name = f"{_PREFIX}_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)))
        return name

    def add(self, kind: str, *others: str, **attributes: Any) -> None:
        """Add a node that reads the last output and `others`."""
        name = f"{_PREFIX}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.last, *others], [name], **attributes))
        self.last = name


def _shape(value: onnx.ValueInfoProto) -> list[int | None]:
    """The dimensions, None where one is symbolic."""
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims]


def _gives_logits(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.tensor_type
    return kind.elem_type == TensorProto.FLOAT and (not kind.HasField("shape") or len(kind.shape.dim) == 2)


def _written(value: onnx.ValueInfoProto) -> str:
    names = {number: name.lower() for name, number in TensorProto.DataType.items()}
    number = value.type.tensor_type.elem_type
    kind = names.get(number, f"type {number}")
    return f"{value.name}: {kind} [{','.join('?' if side is None else str(side) for side in _shape(value))}]"

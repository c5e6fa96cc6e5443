"""Small networks of one convolution, written node by node, in the precisions that an engine can have."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

SIDE = 8
CLASSES = 4

onnx = pytest.importorskip("onnx")
helper, types = onnx.helper, onnx.TensorProto
node = helper.make_node


def network(*middle: Any, dtype: str = "FLOAT", **form: Any) -> bytes:
    """uint8 [N,8,8,3] → float32 [N,4]: Cast, Transpose, Conv, `middle` from "conv" to "middle", pool, Gemm."""
    wide = getattr(types, dtype)
    nodes = [
        node("Cast", ["images"], ["wide"], "cast", to=wide),
        node("Transpose", ["wide"], ["planes"], "turn", perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "kernels"], ["conv"], "conv1"),
        *(middle or (node("Relu", ["conv"], ["middle"], "relu1"),)),
        *head(),
    ]
    return graph(nodes, dtype, **form)


def head() -> list[Any]:
    return [
        node("GlobalAveragePool", ["middle"], ["pooled"], "pool"),
        node("Flatten", ["pooled"], ["flat"], "flatten"),
        node("Gemm", ["flat", "matrix"], ["narrow"], "fc"),
        node("Cast", ["narrow"], ["logits"], "back", to=types.FLOAT),
    ]


def graph(
    nodes: list[Any],
    dtype: str = "FLOAT",
    *,
    images: str = "UINT8",
    batch: str | int = "batch",
    side: int = SIDE,
    outputs: tuple[str, ...] = ("logits",),
    constants: dict[str, Any] | None = None,
    functions: tuple[Any, ...] = (),
) -> bytes:
    """A whole file, with the convolution's and the matrix's weights."""
    random = np.random.default_rng(0)
    shapes = {"kernels": (CLASSES, 3, 3, 3), "matrix": (CLASSES, CLASSES)}
    wide = np.float16 if dtype == "FLOAT16" else np.float32
    values = {name: random.standard_normal(shape).astype(wide) for name, shape in shapes.items()} | (constants or {})
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", getattr(types, images), [batch, side, side, 3])],
        [helper.make_tensor_value_info(name, types.FLOAT, [batch, CLASSES]) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    model = helper.make_model(made, opset_imports=sets, ir_version=10, functions=functions)
    content: bytes = model.SerializeToString()
    return content


def quantised(zero: int = 0, kind: Any = np.int8) -> bytes:
    """The network with its convolution in int8: its input with one scale, its kernels with one each."""
    nodes = [
        node("Cast", ["images"], ["wide"], "cast", to=types.FLOAT),
        node("Transpose", ["wide"], ["planes"], "turn", perm=[0, 3, 1, 2]),
        node("QuantizeLinear", ["planes", "step", "zero"], ["narrow_planes"], "block/quantise"),
        node("DequantizeLinear", ["narrow_planes", "step", "zero"], ["again"], "block/dequantise"),
        node("DequantizeLinear", ["kernels", "steps", "zeros"], ["wide_kernels"], "block/kernels", axis=0),
        node("Conv", ["again", "wide_kernels"], ["conv"], "block/conv"),
        node("Relu", ["conv"], ["middle"], "block/relu"),
        *head(),
    ]
    constants = {
        "step": np.array(2.0, np.float32),
        "zero": np.array(zero, kind),
        "kernels": np.random.default_rng(1).integers(-127, 128, (CLASSES, 3, 3, 3)).astype(np.int8),
        "steps": np.full(CLASSES, 0.01, np.float32),
        "zeros": np.zeros(CLASSES, np.int8),
    }
    return graph(nodes, constants=constants)


def long(layers: int = 300) -> bytes:
    """A network that takes seconds to build."""
    names = ["conv", *(f"conv{number}" for number in range(layers - 1)), "middle"]
    chain = [node("Conv", [before, "mix"], [after]) for before, after in itertools.pairwise(names)]
    return network(*chain, constants={"mix": np.eye(CLASSES, dtype=np.float32)[:, :, None, None]})


def with_function(inside: Any) -> bytes:
    """A network with a function Block, made of one node from "x" to "y"."""
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    block = helper.make_function("local", "Block", ["x"], ["y"], [inside], sets)
    return network(node("Block", ["conv"], ["middle"], "outer", domain="local"), functions=(block,))


PRECISIONS = {"fp32": network, "fp16": lambda: network(dtype="FLOAT16"), "int8": quantised}

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.convert.int8_from_fp32 import CPU, TENSORRT
from sskt_edge.convert.lint_for_tensorrt import lint_for_tensorrt
from sskt_edge.inference.backends.tensorrt.logger import logger_of
from tests.convert.nets import (
    CLASSES,
    WIDTH,
    Net,
    conv_weights,
    int8_of,
    random_weights,
    trained,
    with_shape_arithmetic,
)
from tests.convert.targets import Exported

ZERO, STEP = np.array(0, np.int8), np.array(0.05, np.float32)


def network(middle: Any = None, *, uint8_first: bool = False) -> bytes:
    """conv1, what `middle` makes of its output, and the head."""
    net = Net()
    last = net.conv("conv1", net.pixels, conv_weights(1, 3))
    last = last if middle is None else middle(net, last)
    if uint8_first:
        cast, turn = net.nodes[:2]
        turn.input[0], turn.output[0], cast.input[0], cast.output[0] = "images", "turned", "turned", turn.output[0]
        turn.name = "turn"
        net.nodes[:2] = [turn, cast]
    return net.head(last, random_weights(3, CLASSES, WIDTH))


def quantised(
    point: npt.NDArray[Any] | None = ZERO, step: npt.NDArray[np.float32] = STEP, as_nodes: bool = False, **axis: int
) -> Any:
    """A pair around the activation. The scale and the zero point are constants, or are made by nodes."""

    def middle(net: Net, last: str) -> str:
        def value(name: str, array: npt.NDArray[Any]) -> str:
            if not as_nodes:
                return net.constant(name, array)
            return net.add("Constant", name=name, value=numpy_helper.from_array(array))

        scales = [value("step", step), *([] if point is None else [value("point", point)])]
        narrow = net.add("QuantizeLinear", last, *scales, name="block.narrow", **axis)
        return net.add("DequantizeLinear", narrow, *scales, name="block.wide", **axis)

    return middle


def weighted(kernels: npt.NDArray[Any], point: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> Any:
    """A second convolution whose weights, and bias, stand there as integers."""

    def middle(net: Net, last: str) -> str:
        steps = net.constant("steps", np.full(WIDTH, 0.01, np.float32))
        wide = [
            net.add("DequantizeLinear", net.constant("kernels", kernels), steps, net.constant("points", point), axis=0)
        ]
        net.nodes[-1].name = "conv2.kernels"
        if bias is not None:
            points = net.constant("bias_points", np.zeros(WIDTH, bias.dtype))
            wide.append(
                net.add("DequantizeLinear", net.constant("bias", bias), steps, points, name="conv2.bias", axis=0)
            )
        return net.add("Conv", quantised()(net, last), *wide, name="conv2", pads=[1, 1, 1, 1])

    return middle


def padded(narrow: bool) -> Any:
    def middle(net: Net, last: str) -> str:
        value = net.constant("value", ZERO if narrow else np.array(0, np.float32))
        if narrow:
            value = net.add("DequantizeLinear", value, net.constant("step", STEP), net.constant("point", ZERO))
        return net.add(
            "Pad", last, net.constant("sides", np.array([0, 0, 1, 1, 0, 0, 1, 1])), value, name="shortcut.pad"
        )

    return middle


def scaled_by_itself(net: Net, last: str) -> str:
    scales = [net.add("ReduceMax", last, keepdims=0), net.constant("point", ZERO)]
    narrow = net.add("QuantizeLinear", last, *scales, name="block.narrow")
    return net.add("DequantizeLinear", narrow, *scales, name="block.wide")


def in_double(net: Net, last: str) -> str:
    half = net.constant("half", np.array(0.5, np.float64))
    return net.add("Mul", last, net.add("Cast", half, to=TensorProto.FLOAT))


KERNELS = np.random.default_rng(1).integers(-127, 128, (WIDTH, WIDTH, 3, 3)).astype(np.int8)
POINTS = np.zeros(WIDTH, np.int8)
ODD = np.eye(1, WIDTH, 3, dtype=np.int8)[0]

GOOD: dict[str, Any] = {
    "no quantisation": None,
    "one scale for an activation": quantised(),
    "the same as Constant nodes": quantised(as_nodes=True),
    "a scale for each channel of a weight": weighted(KERNELS, POINTS),
    "plain padding": padded(narrow=False),
}
# What is wrong → the graph, the sentences, and what TensorRT for RTX 1.7 does with it: refuse it, take it (older and
# newer TensorRT are documented to refuse it, or it computes other numbers than the graph says), or crash.
BAD: dict[str, tuple[Any, list[str], str]] = {
    "a zero point that is not zero": (
        quantised(np.array(3, np.int8)),
        [
            "QuantizeLinear 'block.narrow' has a zero point that is not zero",
            "DequantizeLinear 'block.wide' has a zero point that is not zero",
        ],
        "refuses",
    ),
    "the same in a Constant node": (
        quantised(np.array(3, np.int8), as_nodes=True),
        [
            "QuantizeLinear 'block.narrow' has a zero point that is not zero",
            "DequantizeLinear 'block.wide' has a zero point that is not zero",
        ],
        "refuses",
    ),
    "a zero point of uint8": (
        quantised(np.array(128, np.uint8)),
        [
            "QuantizeLinear 'block.narrow' has a zero point of type UINT8; only INT8 is supported",
            "DequantizeLinear 'block.wide' has a zero point of type UINT8; only INT8 is supported",
        ],
        "refuses",
    ),
    # It warns that it takes it for int8.
    "a zero point of uint8 that is zero": (
        quantised(np.array(0, np.uint8)),
        [
            "QuantizeLinear 'block.narrow' has a zero point of type UINT8; only INT8 is supported",
            "DequantizeLinear 'block.wide' has a zero point of type UINT8; only INT8 is supported",
        ],
        "takes",
    ),
    # It takes it for int8 and says nothing.
    "no zero point": (
        quantised(None),
        ["QuantizeLinear 'block.narrow' has no zero point, which makes its output UINT8; only INT8 is supported"],
        "takes",
    ),
    "a scale for each channel of an activation": (
        quantised(POINTS, np.full(WIDTH, 0.05, np.float32), axis=1),
        [
            "QuantizeLinear 'block.narrow' gives an activation one scale per channel; only one per tensor is supported",
            "DequantizeLinear 'block.wide' gives an activation one scale per channel; only one per tensor is supported",
        ],
        "takes",
    ),
    # Its parser ends the process.
    "a scale that is computed": (
        scaled_by_itself,
        [
            "QuantizeLinear 'block.narrow' has a scale that is not a constant",
            "DequantizeLinear 'block.wide' has a scale that is not a constant",
        ],
        "crashes",
    ),
    "a weight's zero point that is not zero": (
        weighted(KERNELS, ODD),
        ["DequantizeLinear 'conv2.kernels' has a zero point that is not zero"],
        "refuses",
    ),
    "a weight of uint8": (
        weighted(KERNELS.astype(np.uint8), POINTS.astype(np.uint8)),
        ["DequantizeLinear 'conv2.kernels' has a zero point of type UINT8; only INT8 is supported"],
        "refuses",
    ),
    "a bias of int32": (
        weighted(KERNELS, POINTS, np.arange(WIDTH, dtype=np.int32)),
        ["DequantizeLinear 'conv2.bias' makes an int32 bias; biases must stay floats"],
        "refuses",
    ),
    "padding with a quantised value": (
        padded(narrow=True),
        ["Pad 'shortcut.pad' pads with a quantised value"],
        "refuses",
    ),
    "a constant in double": (in_double, ["tensor 'half' is of type DOUBLE"], "takes"),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_tensorrt_takes_passes(what: str) -> None:
    assert lint_for_tensorrt(network(GOOD[what])) == []


@pytest.mark.parametrize("what", BAD)
def test_what_it_does_not_is_named_with_operator_and_place(what: str) -> None:
    middle, sentences, _ = BAD[what]
    assert lint_for_tensorrt(network(middle)) == sentences


def test_an_uint8_input_must_meet_cast_first() -> None:
    content = network(uint8_first=True)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    assert lint_for_tensorrt(content) == ["Transpose 'turn' reads the uint8 input directly; a Cast must come first"]


def test_a_node_without_a_name_is_called_by_its_output() -> None:
    model = onnx.load_from_string(network(quantised(np.array(3, np.int8))))
    for node in model.graph.node:
        node.name = ""
    first, _ = lint_for_tensorrt(model.SerializeToString())
    assert first.startswith("QuantizeLinear 'block.narrow_out' has")


FP32: dict[str, Callable[[Exported], bytes]] = {
    "small": lambda _: trained(),
    "with shapes": lambda _: with_shape_arithmetic(),
    "resnet20": lambda exported: exported("resnet20"),
}
PRECISIONS: dict[str, Callable[[bytes], bytes]] = {
    "fp32": lambda content: content,
    "fp16": fp16_from_fp32,
    "int8": lambda content: int8_of(content, TENSORRT),
}


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FP32)
def test_what_exports_make_for_tensorrt_passes(name: str, precision: str, exported: Exported) -> None:
    assert lint_for_tensorrt(PRECISIONS[precision](FP32[name](exported))) == []


@pytest.mark.parametrize("name", FP32)
def test_what_is_made_for_onnx_runtimes_cpu_does_not(name: str, exported: Exported) -> None:
    found = lint_for_tensorrt(int8_of(FP32[name](exported), CPU))

    assert any("has a zero point of type UINT8; only INT8 is supported" in fault for fault in found)
    # The network with shapes has no biases.
    assert any("makes an int32 bias" in fault for fault in found) == (name != "with shapes")


def is_taken(content: bytes) -> bool:
    """Whether TensorRT for RTX parses and builds a file; both need no GPU."""
    trt = pytest.importorskip("tensorrt_rtx")
    logger = logger_of(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    if not trt.OnnxParser(network, logger).parse(content):
        return False
    images = network.get_input(0)
    profile = builder.create_optimization_profile()
    profile.set_shape(images.name, *((batch, *tuple(images.shape)[1:]) for batch in (1, 2, 4)))
    config = builder.create_builder_config()
    config.add_optimization_profile(profile)
    return builder.build_serialized_network(network, config) is not None


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FP32)
def test_tensorrt_for_rtx_takes_what_exports_make(name: str, precision: str, exported: Exported) -> None:
    assert is_taken(PRECISIONS[precision](FP32[name](exported)))


@pytest.mark.slow
@pytest.mark.parametrize("what", GOOD)
def test_tensorrt_for_rtx_takes_what_passes(what: str) -> None:
    assert is_taken(network(GOOD[what]))


@pytest.mark.slow
@pytest.mark.parametrize("what", [what for what, (*_, does) in BAD.items() if does != "crashes"])
def test_tensorrt_for_rtx_does_with_the_rest_what_is_said_of_it(what: str) -> None:
    middle, _, does = BAD[what]
    assert is_taken(network(middle)) == (does == "takes")


def test_tensorrt_for_rtx_refuses_to_turn_uint8() -> None:
    assert not is_taken(network(uint8_first=True))

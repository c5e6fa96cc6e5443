from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.inference.runners import runners_here, runners_of
from tests.convert.local_paths import local_paths_in
from tests.convert.nets import (
    CLASSES,
    SIDE,
    TOLD,
    WIDTH,
    Net,
    conv_weights,
    form_of,
    graph_of,
    logits_of,
    pictures,
    random_weights,
    tensors,
    told,
    trained,
)


@pytest.fixture(scope="module")
def half() -> bytes:
    return fp16_from_fp32(trained())


def test_logits_are_near_those_of_fp32(half: bytes) -> None:
    images, labels = pictures()
    expected = logits_of(trained(), images)
    assert np.mean(expected.argmax(axis=1) == labels) == 1.0

    for runner in runners_of("fp16", runners_here()):
        apart = np.abs(logits_of(half, images, runner=runner) - expected).max() / np.abs(expected).max()
        assert 0 < apart < 0.01, runner


def test_every_weight_is_a_half_float(half: bytes) -> None:
    before, after = graph_of(trained()), graph_of(half)
    kinds = {tensor.name: tensor.data_type for tensor in after.initializer}

    floats = {tensor.name for tensor in before.initializer if tensor.data_type == TensorProto.FLOAT}
    assert {"network.conv1.weight", "network.fc.weight", "network.fc.bias", "scale", "shift"} <= floats
    assert {name: kinds[name] for name in floats} == dict.fromkeys(floats, TensorProto.FLOAT16)
    assert TensorProto.FLOAT not in kinds.values()
    weights = tensors(after)["network.conv2.weight"]
    assert np.array_equal(weights, tensors(before)["network.conv2.weight"].astype(np.float16))


def test_it_computes_in_half_floats_between_input_and_output(half: bytes) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(half), strict_mode=True, data_prop=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    made = [name for node in model.graph.node for name in node.output if name != "logits"]

    assert {name: kinds[name] for name in made} == dict.fromkeys(made, TensorProto.FLOAT16)


def test_it_takes_uint8_and_answers_in_float32(half: bytes) -> None:
    (images,), (logits,) = graph_of(half).input, graph_of(half).output
    assert form_of(images) == ("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    assert form_of(logits) == ("logits", TensorProto.FLOAT, ["batch", CLASSES])


def test_the_file_is_about_half_as_large() -> None:
    net = Net()
    last = net.add("Relu", net.conv("conv1", net.pixels, random_weights(0, 256, 3, 3, 3)))
    large = net.head(net.conv("conv2", last, random_weights(1, 64, 256, 3, 3)), random_weights(2, CLASSES, 64))

    assert 0.5 < len(fp16_from_fp32(large)) / len(large) < 0.52


def test_metadata_is_kept_and_the_precision_is_added(half: bytes) -> None:
    assert told(half) == {**TOLD, "sskt_edge.precision": "fp16"}


def test_it_is_of_the_same_opset_and_ir_with_standard_operators_alone(half: bytes) -> None:
    model = onnx.load_from_string(half)
    assert model.ir_version == 10
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert model.producer_name == "sskt-edge"


def test_nothing_tells_where_it_was_made(half: bytes) -> None:
    assert local_paths_in(half) == []


def test_the_same_file_gives_the_same_bytes(half: bytes) -> None:
    assert fp16_from_fp32(trained()) == half


def far_and_tiny() -> bytes:
    """Weights beyond half floats on either side, on channels that are always zero."""
    net = Net()
    weights = conv_weights(2)
    weights[1:, 0, 0, 0], weights[1:, 0, 1, 1], weights[1:, 0, 2, 2] = 1e6, -1e6, 1e-30
    last = net.add("Relu", net.conv("conv1", net.pixels, conv_weights(1, 3)))
    return net.head(net.conv("conv2", last, weights), random_weights(3, CLASSES, WIDTH))


def test_weights_beyond_half_floats_are_cut_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    content = far_and_tiny()

    half = fp16_from_fp32(content)

    assert capfd.readouterr() == ("", "")
    weights = tensors(graph_of(half))["network.conv2.weight"]
    assert (weights.max(), weights.min()) == (65504.0, -65504.0)
    images, _ = pictures()
    apart = np.abs(logits_of(half, images) - logits_of(content, images)).max()
    assert apart < 0.05 * np.abs(logits_of(content, images)).max()


def resized(net: Net, source: str) -> str:
    sizes = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    return net.add("Resize", source, "", sizes, mode="linear")


def larger(net: Net, source: str) -> str:
    return net.add("Max", source, net.constant("floor", np.array(-0.5, np.float32)))


def shaped(net: Net, source: str) -> str:
    """The batch is read from the shape, as MobileNetV2's exporter does."""
    axis = net.constant("axis", np.array(0, np.int64))
    batch = net.add("Gather", net.add("Shape", source), axis)
    front = net.add("Unsqueeze", batch, net.constant("front", np.array([0], np.int64)))
    shape = net.add("Concat", front, net.constant("rest", np.array([WIDTH, -1, 1], np.int64)), axis=0)
    return net.add("Reshape", source, shape)


@pytest.mark.parametrize("middle", [resized, larger, shaped])
def test_operators_that_keep_a_type_of_their_own_are_converted_around(middle: Callable[[Net, str], str]) -> None:
    net = Net()
    last = middle(net, net.conv("conv1", net.pixels, conv_weights(1, 3)))
    content = net.head(last, random_weights(3, CLASSES, WIDTH))
    images, _ = pictures()
    expected = logits_of(content, images)

    apart = np.abs(logits_of(fp16_from_fp32(content), images) - expected).max()

    assert apart < 0.01 * np.abs(expected).max()

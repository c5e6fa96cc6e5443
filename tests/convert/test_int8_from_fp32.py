from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from sskt_edge.convert.int8_from_fp32 import CPU, TENSORRT, Form, Layer, layers, prepared, quantised
from sskt_edge.inference.runners import runners_here, runners_of
from tests.convert.local_paths import local_paths_in
from tests.convert.nets import (
    CLASSES,
    TOLD,
    WIDTH,
    Net,
    graph_of,
    int8_of,
    logits_of,
    maker,
    node_called,
    pictures,
    random_weights,
    table_of,
    tensors,
    told,
    trained,
    with_shape_arithmetic,
)

FORMS = (TENSORRT, CPU)
by_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def of_quantisation(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]


def is_narrow(graph: onnx.GraphProto, tensor: str) -> bool:
    """Whether a tensor comes out of int8."""
    made = maker(graph, tensor)
    return made is not None and made.op_type == "DequantizeLinear"


@by_form
def test_a_network_that_knows_its_classes_keeps_them(form: Form) -> None:
    images, labels = pictures()
    assert np.mean(logits_of(trained(), images).argmax(axis=1) == labels) == 1.0
    content = int8_of(trained(), form)

    for runner in runners_of(form.name, runners_here()):
        answers = logits_of(content, images, runner=runner)
        assert np.mean(answers.argmax(axis=1) == labels) >= 0.99, runner
        assert np.abs(answers - logits_of(trained(), images)).max() > 1e-3, "it is int8 indeed"


def test_the_form_of_tensorrt_has_zero_points_of_int8_that_are_zero() -> None:
    graph = graph_of(int8_of(trained(), TENSORRT))
    constants = tensors(graph)

    assert len(of_quantisation(graph)) > 10
    for node in of_quantisation(graph):
        assert constants[node.input[2]].dtype == np.int8
        assert not constants[node.input[2]].any()


def test_the_form_of_tensorrt_leaves_biases_as_they_are() -> None:
    graph = graph_of(int8_of(trained(), TENSORRT))

    assert all(tensor.data_type != TensorProto.INT32 for tensor in graph.initializer)
    bias = node_called(graph, "node_fc").input[2]
    assert np.array_equal(tensors(graph)[bias], tensors(graph_of(trained()))["network.fc.bias"])


def test_the_cpu_form_is_uint8_activations_int8_weights_int32_biases() -> None:
    graph = graph_of(int8_of(trained(), CPU))
    constants = tensors(graph)
    kinds: dict[str, set[np.dtype[Any]]] = {"weights": set(), "activations": set()}
    for node in of_quantisation(graph):
        kind = "weights" if node.input[0] in constants else "activations"
        kinds[kind].add(constants[node.input[2]].dtype)

    assert kinds["activations"] == {np.dtype(np.uint8)}
    assert kinds["weights"] == {np.dtype(np.int8), np.dtype(np.int32)}
    assert np.dtype(np.int32) in {
        constants[node.input[0]].dtype for node in of_quantisation(graph) if node.input[0] in constants
    }


@by_form
def test_weights_have_a_scale_for_each_output_channel_and_activations_one(form: Form) -> None:
    graph = graph_of(int8_of(trained(), form))
    constants = tensors(graph)
    for layer, channels in (("conv1", WIDTH), ("conv4", WIDTH), ("fc", CLASSES)):
        node = node_called(graph, f"node_{layer}")
        weight, activation = maker(graph, node.input[1]), maker(graph, node.input[0])
        assert weight is not None and activation is not None
        assert constants[weight.input[0]].dtype == np.int8
        assert constants[weight.input[1]].size == channels
        assert constants[activation.input[1]].size == 1


@by_form
def test_only_the_listed_layers_become_int8(form: Form) -> None:
    before = tensors(graph_of(trained()))
    graph = graph_of(int8_of(trained(), form, ["node_conv1", "node_conv3"]))
    constants = tensors(graph)

    for layer in ("conv1", "conv3"):
        assert is_narrow(graph, node_called(graph, f"node_{layer}").input[1])
    for layer in ("conv2", "conv4", "fc"):
        weight = node_called(graph, f"node_{layer}").input[1]
        assert np.array_equal(constants[weight], before[f"network.{layer}.weight"])
    assert not any(is_narrow(graph, name) for name in node_called(graph, "node_fc").input)


@by_form
def test_no_layer_listed_is_no_layer_in_int8(form: Form) -> None:
    content = int8_of(trained(), form, [])
    images, _ = pictures()

    assert of_quantisation(graph_of(content)) == []
    assert np.array_equal(logits_of(content, images), logits_of(trained(), images))


@by_form
def test_preprocessing_is_left_alone(form: Form) -> None:
    graph = graph_of(int8_of(trained(), form))
    assert is_narrow(graph, node_called(graph, "node_conv1").input[0]), "the first layer's input is int8"

    shift = node_called(graph, "shift_pixels")
    assert not any(is_narrow(graph, name) for name in shift.input)
    assert np.array_equal(tensors(graph)["shift"], tensors(graph_of(trained()))["shift"])


def test_layers_bear_the_networks_names_in_order() -> None:
    assert layers(prepared(trained())) == [
        Layer("node_conv1", "conv1"),
        Layer("node_conv2", "conv2"),
        Layer("node_sum", "node_sum"),
        Layer("node_conv3", "conv3"),
        Layer("node_conv4", "conv4"),
        Layer("node_fc", "fc"),
    ]


@by_form
def test_sums_of_a_shapes_numbers_are_never_int8(form: Form) -> None:
    content = with_shape_arithmetic()
    model = prepared(content)
    assert node_called(model.graph, "node_more").op_type == "Add"

    assert [layer.name for layer in layers(model)] == ["features.0.0", "features.1.conv.0", "classifier.1"]
    graph = graph_of(int8_of(content, form))
    assert not any(is_narrow(graph, name) for name in node_called(graph, "node_more").input)
    images, _ = pictures()
    assert logits_of(int8_of(content, form), images).shape == (len(images), CLASSES)


def cut_off(far: float) -> bytes:
    """A layer whose outputs reach far beyond what the ReLU6 behind it lets through."""
    net = Net()
    limits = [net.constant("low", np.array(0, np.float32)), net.constant("high", np.array(6, np.float32))]
    seen = net.conv("conv1", net.pixels, random_weights(1, WIDTH, 3, 3, 3), np.full(WIDTH, 3, np.float32))
    seen = net.add("Clip", seen, *limits)
    weights = random_weights(2, WIDTH, WIDTH, 3, 3)
    weights[0] *= far
    last = net.add("Clip", net.conv("conv2", seen, weights, np.full(WIDTH, 2, np.float32)), *limits)
    return net.head(last, random_weights(3, CLASSES, WIDTH))


@by_form
def test_what_an_activation_cuts_off_does_not_coarsen_the_rest(form: Form) -> None:
    content = cut_off(100)
    images, _ = pictures()
    expected = logits_of(content, images)
    error = np.abs(logits_of(int8_of(content, form), images) - expected).mean() / expected.std()
    assert error < 0.03


@by_form
def test_metadata_is_kept_and_the_precision_is_added(form: Form) -> None:
    content = int8_of(trained(), form)
    model = onnx.load_from_string(content)
    assert told(content) == {**TOLD, "sskt_edge.precision": form.name}
    assert (model.producer_name, model.ir_version) == ("sskt-edge", 10)
    assert [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")] == [18]
    assert {node.domain for node in model.graph.node} == {""}
    assert local_paths_in(content) == []


@by_form
def test_the_same_network_and_ranges_give_the_same_bytes(form: Form) -> None:
    table_of.cache_clear()
    first = int8_of(trained(), form)
    table_of.cache_clear()
    assert int8_of(trained(), form) == first


AGAIN = """
import hashlib
from tests.convert.nets import int8_of, trained
from tests.convert.test_int8_from_fp32 import FORMS
print(*(hashlib.sha256(int8_of(trained(), form)).hexdigest() for form in FORMS))
"""


def test_another_process_gives_the_same_bytes() -> None:
    # Python's sets have another order in each process.
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", AGAIN],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [hashlib.sha256(int8_of(trained(), form)).hexdigest() for form in FORMS]


@by_form
def test_it_is_silent_and_leaves_network_loggers_and_folders_alone(
    form: Form,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table_of(trained())
    caplog.set_level(logging.INFO)
    capfd.readouterr()

    model = prepared(trained())
    before = model.SerializeToString()
    quantised(model, table_of(trained()), form, [layer.node for layer in layers(model)])

    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert logging.getLogger().level == logging.INFO
    assert model.SerializeToString() == before
    assert list(tmp_path.iterdir()) == []

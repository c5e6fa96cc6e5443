"""Small ONNX networks with preprocessing in front, written node by node, and the images that they tell apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sskt_edge.common.progress import QUIET
from sskt_edge.convert.calibration import Calibrated, ranges
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.convert.int8_from_fp32 import Form, layers, prepared, quantised
from sskt_edge.inference.runners import Runner
from sskt_edge.inference.session import run_batches
from sskt_edge.tasks.single_label import SINGLE_LABEL

SIDE, CLASSES, WIDTH, BATCH = 16, 4, 16, 32
ORT = Runner("onnxruntime", "cpu")
TOLD = {"sskt_edge.name": "größe", "sskt_edge.classes": '["a", "b", "c", "d"]'}
FAR = 1e4  # in int8 all other weights of the channel become zero
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Net:
    """A graph that grows: uint8 [batch,side,side,3], cast, turned and scaled; each call adds a node."""

    def __init__(self, side: int = SIDE) -> None:
        self.side = side
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        wide = self.add("Cast", "images", to=TensorProto.FLOAT)
        planes = self.add("Transpose", wide, perm=[0, 3, 1, 2])
        scaled = self.add("Mul", planes, self.constant("scale", np.full((1, 3, 1, 1), 1 / 64, np.float32)))
        self.pixels = self.add(
            "Add", scaled, self.constant("shift", np.full((1, 3, 1, 1), -2, np.float32)), name="shift_pixels"
        )

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.constants[name] = value
        return name

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """One more node; its output's name."""
        name = name or f"node_{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [f"{name}_out"], name, **attributes))
        return f"{name}_out"

    def layer(
        self, op: str, layer: str, source: str, weight: Floats, bias: Floats | None = None, **attributes: Any
    ) -> str:
        """A node with weights, which are called as the exporter calls those of the module `layer`."""
        weights = [self.constant(f"network.{layer}.weight", weight)]
        if bias is not None:
            weights.append(self.constant(f"network.{layer}.bias", bias))
        return self.add(op, source, *weights, name=f"node_{layer}", **attributes)

    def conv(self, layer: str, source: str, weight: Floats, bias: Floats | None = None) -> str:
        return self.layer("Conv", layer, source, weight, bias, pads=[1, 1, 1, 1])

    def head(self, source: str, weight: Floats, bias: Floats | None = None) -> bytes:
        """Pool, flatten, and the last layer; the whole as a file."""
        flat = self.add("Flatten", self.add("GlobalAveragePool", source))
        return self.file(self.layer("Gemm", "fc", flat, weight, bias, transB=1))

    def file(self, logits: str, classes: int = CLASSES, metadata: Mapping[str, str] = TOLD) -> bytes:
        """The bytes of an ONNX file that gives `logits` [batch,classes]."""
        self.nodes[-1].output[0] = "logits" if self.nodes[-1].output[0] == logits else self.nodes[-1].output[0]
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", self.side, self.side, 3])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content


@cache
def pictures(count: int = 96, seed: int = 0, side: int = SIDE) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Waves of four directions and colours, in noise. uint8 [N,side,side,3], int64 [N]."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    y, x = np.mgrid[:side, :side] / side
    turn = labels[:, None, None] * np.pi / CLASSES
    wave = np.sin(2 * np.pi * (2 * (x * np.cos(turn) + y * np.sin(turn)) + random.random((count, 1, 1))))
    colour = np.random.default_rng(9).uniform(-90, 90, (CLASSES, 3))[labels]
    values = 128 + (wave[..., None] + 0.2) * colour[:, None, None] + random.normal(0, 10, (count, side, side, 3))
    return np.clip(values, 0, 255).astype(np.uint8), labels


def random_weights(seed: int, *shape: int) -> Floats:
    """Weights that keep the size of what passes."""
    weights: Floats = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    weights *= np.sqrt(2 / np.prod(shape[1:]))
    return weights


def conv_weights(seed: int, source: int = WIDTH) -> Floats:
    """[WIDTH,source,3,3]; the first channel gives nothing, so what another layer makes of it is nothing too."""
    weights = random_weights(seed, WIDTH, source, 3, 3)
    weights[0] = 0
    return weights


@cache
def trained(spoilt: tuple[str, ...] = (), depth: int = 4, residual: bool = True, side: int = SIDE) -> bytes:
    """conv1 … conv<depth> with ReLU, a sum after conv2, and fc, which is fitted to tell the pictures' classes apart.

    A layer that is spoilt has weights of FAR on a channel that is always zero: fp32 does not mind, int8 is ruined.
    """
    found, labels = pictures(256, seed=7, side=side)
    features = logits_of(_chain(spoilt, depth, residual, side, np.eye(WIDTH, dtype=np.float32)), found, WIDTH)
    known = np.hstack([features, np.ones((len(features), 1))]).astype(np.float64)
    wanted = known.T @ (8 * np.eye(CLASSES)[labels])
    solved = np.linalg.solve(known.T @ known + np.eye(len(wanted)), wanted).astype(np.float32)
    weight = np.ascontiguousarray(solved[:-1].T)
    if "fc" in spoilt:
        weight[:, 0] = FAR
    return _chain(spoilt, depth, residual, side, weight, solved[-1])


def _chain(
    spoilt: Collection[str], depth: int, residual: bool, side: int, fc: Floats, bias: Floats | None = None
) -> bytes:
    net = Net(side)
    last = net.add("Relu", net.conv("conv1", net.pixels, conv_weights(1, 3)))
    for number in range(2, depth + 1):
        weights = conv_weights(number)
        if f"conv{number}" in spoilt:
            weights[1:, 0] = FAR
        made = net.conv(f"conv{number}", last, weights)
        if residual and number == 2:
            made = net.add("Add", made, last, name="node_sum")
        last = net.add("Relu", made)
    flat = net.add("Flatten", net.add("GlobalAveragePool", last))
    return net.file(net.layer("Gemm", "fc", flat, fc, bias, transB=1), len(fc))


def with_shape_arithmetic() -> bytes:
    """A network that adds to numbers of a shape, in int64, between its layers."""
    net = Net()
    last = net.add("Relu", net.conv("features.0.0", net.pixels, conv_weights(1, 3)))
    last = net.conv("features.1.conv.0", last, conv_weights(2))
    batch = net.add("Gather", net.add("Shape", last), net.constant("axis", np.array(0, np.int64)))
    more = net.add("Add", batch, net.constant("two", np.array(2, np.int64)), name="node_more")
    again = net.add("Sub", more, "two")
    front = net.add("Unsqueeze", again, net.constant("front", np.array([0], np.int64)))
    shape = net.add("Concat", front, net.constant("rest", np.array([WIDTH], np.int64)), axis=0)
    kept = net.add("Expand", net.constant("kept", np.full(WIDTH, 0.5, np.float32)), shape)
    flat = net.add("Mul", net.add("Flatten", net.add("GlobalAveragePool", last)), kept)
    return net.file(net.layer("Gemm", "classifier.1", flat, random_weights(3, CLASSES, WIDTH), transB=1))


@cache
def table_of(content: bytes) -> Any:
    """The ranges of an fp32 file's tensors on pictures of its size."""
    model = prepared(content)
    side = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return ranges(model, pictures(48, seed=3, side=side)[0], "minmax", QUIET)


def int8_of(content: bytes, form: Form, nodes: Collection[str] | None = None) -> bytes:
    """An fp32 file in int8: these nodes, or all that can be."""
    model = prepared(content)
    chosen = [layer.node for layer in layers(model)] if nodes is None else nodes
    return quantised(model, table_of(content), form, chosen)


def logits_of(content: bytes, images: Pixels, classes: int = CLASSES, runner: Runner = ORT) -> Floats:
    """What a file answers. uint8 [N,S,S,3] → float32 [N,classes]."""
    side = images.shape[1]
    return run_batches(runner.open(content, (side, side, 3), BATCH, threads=1), images, BATCH, classes)


def evaluation_set_of(
    content: bytes, count: int = 96, seed: int = 1, labels: npt.NDArray[np.int64] | None = None
) -> EvaluationSet:
    """Pictures, with the answers of an fp32 file as the trained network's."""
    images, own = pictures(count, seed)
    return EvaluationSet(images, own if labels is None else labels, logits_of(content, images), BATCH, SINGLE_LABEL)


def calibrated(content: bytes) -> Calibrated:
    """The network of an fp32 file, with ranges from 48 pictures."""
    return Calibrated(prepared(content), pictures(48, seed=3)[0], QUIET)


def graph_of(content: bytes) -> onnx.GraphProto:
    return onnx.load_from_string(content).graph


def form_of(value: onnx.ValueInfoProto) -> tuple[str, int, list[str | int]]:
    """Name, type and sides of an input or output."""
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [side.dim_param or side.dim_value for side in tensor.shape.dim]


def tensors(graph: onnx.GraphProto) -> dict[str, npt.NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def node_called(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(node for node in graph.node if node.name == name)
    return found


def maker(graph: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    """The node that makes a tensor; None for an input or a constant."""
    return next((node for node in graph.node if tensor in node.output), None)


def told(content: bytes) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load_from_string(content).metadata_props}

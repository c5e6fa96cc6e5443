"""A network whose file ends in probabilities gives the logits behind them, to every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from sskt_edge.common.errors import NetworkError
from sskt_edge.common.progress import Notes
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.from_onnx import OnnxSource
from sskt_edge.sources.judge import divergence
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.zoo import open_source
from sskt_edge.training.inputs import open_inputs
from tests.conftest import tiny_recipe
from tests.sources.queries import label_query
from tests.sources.small import CPU, answers, images

RANDOM = np.random.default_rng(0)
KERNEL, BIAS = RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32), np.array([1, -1, 0.5, 0], dtype=np.float32)
node = helper.make_node

# The nodes from "pooled", float [B,4,1,1], or from "flat", float [B,4], to "out"; all but the first make probabilities
# or their logarithms.
LOGITS = [node("Identity", ["flat"], ["out"])]
SOFTMAX = [node("Softmax", ["flat"], ["out"], axis=1)]
FOUR_SIDES = [node("Softmax", ["pooled"], ["p"], axis=1), node("Flatten", ["p"], ["out"])]
SQUEEZED = [
    node("Softmax", ["pooled"], ["p"], axis=-3),
    node("Squeeze", ["p", "sides"], ["q"]),
    node("Identity", ["q"], ["out"]),
]
HALF = [
    node("Cast", ["flat"], ["h"], to=TensorProto.FLOAT16),
    node("Softmax", ["h"], ["p"]),
    node("Cast", ["p"], ["out"], to=TensorProto.FLOAT),
]
QUANTIZED = [
    node("Softmax", ["flat"], ["p"]),
    node("QuantizeLinear", ["p", "scale", "zero"], ["q"]),
    node("DequantizeLinear", ["q", "scale", "zero"], ["out"]),
]
LOG_OF_SOFTMAX = [node("Softmax", ["flat"], ["p"]), node("Log", ["p"], ["out"])]
LOG_SOFTMAX = [node("LogSoftmax", ["flat"], ["out"])]
BY_HAND = [
    node("ReduceMax", ["flat", "classes"], ["largest"]),
    node("Sub", ["flat", "largest"], ["below"]),
    node("Exp", ["below"], ["e"]),
    node("ReduceSum", ["e", "classes"], ["sum"]),
    node("Div", ["e", "sum"], ["out"]),
]
BY_HAND_IN_HALF = [
    *(*BY_HAND[:4], node("Div", ["e", "sum"], ["p"])),
    *(node("Cast", ["p"], ["h"], to=TensorProto.FLOAT16), node("Cast", ["h"], ["out"], to=TensorProto.FLOAT)),
]
SIGMOID = [node("Sigmoid", ["flat"], ["out"])]
SIGMOID_OF_FOUR_SIDES = [node("Sigmoid", ["pooled"], ["p"]), node("Flatten", ["p"], ["out"])]
SIGMOID_BY_HAND = [
    node("Neg", ["flat"], ["negative"]),
    node("Exp", ["negative"], ["e"]),
    node("Add", ["e", "one"], ["sum"]),
    node("Reciprocal", ["sum"], ["out"]),
]
SIGMOID_AND_MORE = [node("Sigmoid", ["flat"], ["p"]), node("Mul", ["p", "one"], ["out"])]
IN_PAIRS = [
    node("Reshape", ["flat", "pairs"], ["two"]),
    node("Softmax", ["two"], ["p"]),
    node("Reshape", ["p", "four"], ["out"]),
]
POSITIVE = [node("Abs", ["flat"], ["out"])]

CONSTANTS = {
    "kernel": KERNEL,
    "sides": np.array([2, 3]),
    "classes": np.array([1]),
    "one": np.array(1, dtype=np.float32),
    "pairs": np.array([-1, 2, 2]),
    "four": np.array([-1, 4]),
    "scale": np.array(1 / 255, dtype=np.float32),
    "zero": np.array(0, dtype=np.uint8),
}


def write(path: Path, tail: list[NodeProto], scale: float = 1.0, opset: int = 18, batch: int | str = "B") -> str:
    """A convolution, the mean over all pixels, and a tail; `scale` makes the logits as large as wanted."""
    head = [
        node("Cast", ["in"], ["wide"], to=TensorProto.FLOAT),
        node("Mul", ["wide", "small"], ["little"]),
        node("Transpose", ["little"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "kernel", "bias"], ["features"]),
        node("GlobalAveragePool", ["features"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        **CONSTANTS,
        "bias": BIAS * np.float32(scale),
        "small": np.array(scale / 255, dtype=np.float32),
    }
    graph = helper.make_graph(
        [*head, *tail],
        "small",
        [helper.make_tensor_value_info("in", TensorProto.UINT8, [batch, 12, 12, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return f"onnx/{path}"


def opened(model: str) -> OnnxSource:
    source = open_source(SourceOptions(name="s", model=model), CPU)
    assert isinstance(source, OnnxSource)
    return source


def centred(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the constant that softmax does not see."""
    out: NDArray[np.float32] = logits - logits.mean(axis=1, keepdims=True)
    return out


TAILS = {
    "softmax": (SOFTMAX, "Softmax"),
    "of four sides": (FOUR_SIDES, "Softmax"),
    "squeezed": (SQUEEZED, "Softmax"),
    "log of softmax": (LOG_OF_SOFTMAX, "Softmax"),
    "quantized": (QUANTIZED, "Softmax"),
    "log-softmax": (LOG_SOFTMAX, ""),
    "by hand": (BY_HAND, "logarithm"),
}


@pytest.mark.parametrize("side", [12, 20])
@pytest.mark.parametrize(("tail", "said"), TAILS.values(), ids=TAILS)
def test_every_engine_gives_the_logits_behind_probabilities(
    tail: list[NodeProto], said: str, side: int, tmp_path: Path
) -> None:
    logits = answers(opened(write(tmp_path / "logits.onnx", LOGITS)), images(6, side))
    source = opened(write(tmp_path / "tail.onnx", tail))
    assert source.classes == 4
    assert said in source.remark and bool(source.remark) == bool(said)
    for engine in source.engines():
        near = 1e-4 if engine.precision == "fp32" else 0.05
        np.testing.assert_allclose(centred(answers(source, images(6, side), engine)), centred(logits), atol=near)


def test_half_precision_keeps_the_digits_that_it_has(tmp_path: Path) -> None:
    logits = answers(opened(write(tmp_path / "logits.onnx", LOGITS)), images(6, 12))
    given = answers(opened(write(tmp_path / "tail.onnx", HALF)), images(6, 12))
    assert divergence(logits, given).max() < 1e-5


@pytest.mark.parametrize("opset", [9, 13])
def test_softmax_of_old_files_is_over_the_classes_too(opset: int, tmp_path: Path) -> None:
    logits = answers(opened(write(tmp_path / "logits.onnx", LOGITS, opset=opset)), images(3, 12))
    given = answers(opened(write(tmp_path / "tail.onnx", FOUR_SIDES, opset=opset, batch=2)), images(3, 12))
    np.testing.assert_allclose(given, logits, rtol=1e-5)


def test_a_saturated_softmax_gives_finite_exact_logits(tmp_path: Path) -> None:
    logits = answers(opened(write(tmp_path / "logits.onnx", LOGITS, scale=300)), images(6, 12))
    assert np.ptp(logits, axis=1).min() > 200  # softmax of them is 0 and 1
    given = answers(opened(write(tmp_path / "tail.onnx", SOFTMAX, scale=300)), images(6, 12))
    np.testing.assert_allclose(given, logits, rtol=1e-5)


@pytest.mark.parametrize(
    ("tail", "scale", "said"),
    [
        (SIGMOID, 1, "Sigmoid"),
        (SIGMOID_OF_FOUR_SIDES, 1, "Sigmoid"),
        (SIGMOID_BY_HAND, 1, "do not sum to 1"),
        (SIGMOID_AND_MORE, 1, "do not sum to 1"),
        (IN_PAIRS, 1, "not over its 4 classes"),
        (BY_HAND, 300, "rounded"),  # probabilities of 0
        (BY_HAND_IN_HALF, 1, "rounded"),
    ],
    ids=[
        "sigmoid",
        "sigmoid of four sides",
        "sigmoid by hand",
        "sigmoid and more",
        "softmax in pairs",
        "zeros",
        "halves",
    ],
)
def test_probabilities_without_exact_logits_are_refused(
    tail: list[NodeProto], scale: float, said: str, tmp_path: Path
) -> None:
    with pytest.raises(NetworkError, match=rf"tail\.onnx'.*{said}.*Export"):
        opened(write(tmp_path / "tail.onnx", tail, scale))


@pytest.mark.parametrize("scale", [0.25, 1])
def test_positive_logits_are_not_taken_for_probabilities(scale: float, tmp_path: Path) -> None:
    source = opened(write(tmp_path / "n.onnx", POSITIVE, scale))
    assert source.remark == ""
    plain = answers(opened(write(tmp_path / "logits.onnx", LOGITS, scale)), images(3, 12))
    np.testing.assert_allclose(answers(source, images(3, 12)), np.abs(plain), rtol=1e-5)


def test_a_zero_of_a_later_view_gives_a_finite_logit(tmp_path: Path) -> None:
    """The logarithm is exact on the images that it is judged by; one view that saturates must not end a training."""
    cyan = np.full((1, 12, 12, 3), (0, 255, 255), dtype=np.uint8)
    logits = answers(opened(write(tmp_path / "logits.onnx", LOGITS, 8.8)), cyan)
    assert np.ptp(logits) > 104  # exp(-104) is 0 in float32
    given = answers(opened(write(tmp_path / "n.onnx", BY_HAND, 8.8)), cyan)
    assert given.min() == pytest.approx(-87.3, abs=0.1)
    assert divergence(logits, given).max() < 1e-6


def test_labels_of_the_same_file_without_its_logits_do_not_serve(tmp_path: Path) -> None:
    source = opened(write(tmp_path / "n.onnx", SOFTMAX))
    before = {name: value for name, value in source.facts.items() if name != "logits"}
    store, engine = LabelStore(tmp_path / "labels"), source.engines()[0]
    now = label_query(source).collection(store, engine)
    source.facts = before
    assert label_query(source).collection(store, engine).key != now.key


def test_the_facts_of_logits_stay_as_they_were(tmp_path: Path) -> None:
    """Labels that are stored of sources that always gave logits still serve."""
    for tail in (LOGITS, LOG_SOFTMAX):
        facts = opened(write(tmp_path / "n.onnx", tail)).facts
        assert set(facts) == {"model", "weights", "input_size", "mean", "std", "batchnorm"}


def test_it_is_said_once_when_the_sources_are_opened(tmp_path: Path) -> None:
    sources = ", ".join(
        f'{{name = "{name}", model = "{write(tmp_path / f"{name}.onnx", tail)}"}}'
        for name, tail in {"plain": LOGITS, "soft": SOFTMAX}.items()
    )
    said = Notes()
    open_inputs(tiny_recipe("method.name=sskt", f"sources=[{sources}]"), CPU, said)
    assert [line for line in said.lines if "Softmax" in line] == said.lines
    assert len(said.lines) == 1 and said.lines[0].startswith("soft: ")

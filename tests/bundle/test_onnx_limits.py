"""A file of a few bytes in a bundle takes neither memory nor time, and is refused before a runtime sees it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.bundle.onnx_limits import refuse_costly
from sskt_edge.common.errors import BundleError
from tests.bundle.tiny import SIDE, tiny_model, tiny_onnx, write_bundle

onnx = pytest.importorskip("onnx")
node, types = onnx.helper.make_node, onnx.TensorProto

Change = Callable[[Any], Any]


def checked(model: Any) -> None:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    refuse_costly(content, 4, (SIDE, SIDE, 3), "m.onnx")


def constant(model: Any, name: str, value: Any) -> str:
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return name


def network(*nodes: Any, **constants: Any) -> Any:
    """The nodes between float [N,3,S,S], "planes", and nothing: what they give is not used."""
    model = tiny_model()
    model.graph.node.extend([node("Transpose", ["wide"], ["planes"], perm=[0, 3, 1, 2]), *nodes])
    for name, value in constants.items():
        constant(model, name, value)
    return model


def subgraph() -> Any:
    return onnx.helper.make_graph([node("Identity", ["wide"], ["y"])], "inner", [], [])


def window(kernel: int = 1, **attributes: Any) -> Any:
    weight = np.ones((1, 3, kernel, kernel), np.float32)
    return network(node("Conv", ["planes", "kernel"], ["out"], **attributes), kernel=weight)


def padded(pads: int) -> Any:
    return network(
        node("Pad", ["planes", "pads"], ["out"]), pads=np.array([0, 0, pads, pads, 0, 0, pads, pads], np.int64)
    )


def growing(times: int) -> Any:
    """Concat of a tensor with itself, again and again."""
    return network(
        *(node("Concat", [f"c{n}" if n else "planes"] * 2, [f"c{n + 1}"], axis=1) for n in range(times)),
    )


FINE: dict[str, Callable[[], Any]] = {
    "the tiny one": tiny_model,
    "a convolution": lambda: window(3, pads=[1, 1, 1, 1], strides=[2, 2]),
    "a pool": lambda: network(node("MaxPool", ["planes"], ["out"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)),
    "a padding": lambda: padded(2),
    "two halves": lambda: network(node("Split", ["planes"], ["out", "more"], axis=2, num_outputs=2)),
    "three parts of a given size": lambda: network(
        node("Split", ["planes", "sizes"], ["a", "b", "c"], axis=1), sizes=np.array([1, 1, 1])
    ),
    "a new shape": lambda: network(node("Reshape", ["planes", "to"], ["out"]), to=np.array([-1, 3 * SIDE * SIDE])),
    "a constant node": lambda: network(
        node("Constant", [], ["to"], value=onnx.numpy_helper.from_array(np.array([0, -1]))),
        node("Reshape", ["planes", "to"], ["out"]),
    ),
    "a batch that is asked for": lambda: network(
        node("Shape", ["planes"], ["batch"], start=0, end=1),
        node("Concat", ["batch", "rest"], ["to"], axis=0),
        node("Reshape", ["planes", "to"], ["out"]),
        rest=np.array([3 * SIDE * SIDE]),
    ),
    "a little growth": lambda: growing(3),
    "flat": lambda: network(node("Flatten", ["planes"], ["flat"]), node("Identity", ["flat"], ["out"])),
}
COSTLY: dict[str, Callable[[], Any]] = {
    "Loop": lambda: network(node("Loop", ["", "", "wide"], ["out"], body=subgraph())),
    "If": lambda: network(node("If", ["wide"], ["out"], then_branch=subgraph(), else_branch=subgraph())),
    "Scan": lambda: network(node("Scan", ["wide"], ["out"], body=subgraph(), num_scan_inputs=1)),
    "a subgraph in a plain node": lambda: network(node("Relu", ["wide"], ["out"], body=subgraph())),
    "ConstantOfShape": lambda: network(node("ConstantOfShape", ["to"], ["out"]), to=np.array([1 << 40])),
    "Expand": lambda: network(node("Expand", ["wide", "to"], ["out"]), to=np.array([1 << 40, 1, 1, 1])),
    "Tile": lambda: network(node("Tile", ["wide", "to"], ["out"]), to=np.array([1 << 40, 1, 1, 1])),
    "Range": lambda: network(node("Range", ["a", "b", "a"], ["out"]), a=np.array(1), b=np.array(1 << 50)),
    "Resize": lambda: network(node("Resize", ["planes", "", "", "to"], ["out"]), to=np.array([1, 3, 1 << 20, 1 << 20])),
    "RandomNormal": lambda: network(node("RandomNormal", [], ["out"], shape=[1 << 20, 1 << 20])),
    "another domain": lambda: network(node("Conv", ["planes"], ["out"], domain="com.microsoft")),
    "a wide padding": lambda: padded(1 << 30),
    "padding of a convolution": lambda: window(pads=[1 << 30] * 4),
    "padding of a pool": lambda: network(
        node("AveragePool", ["planes"], ["out"], kernel_shape=[9, 9], pads=[8000] * 4)
    ),
    "a window without end": lambda: window(dilations=[0, 0]),
    "a stride of nothing": lambda: window(strides=[0, 0]),
    "auto_pad": lambda: window(auto_pad="SAME_UPPER"),
    "growth": lambda: growing(40),
    "many channels": lambda: network(
        node("Conv", ["planes", "kernel"], ["out"]), kernel=np.zeros((200_000, 3, 1, 1), np.float16)
    ),
    "a product of all with all": lambda: network(
        node("Reshape", ["planes", "column"], ["a"]),
        node("Reshape", ["planes", "row"], ["b"]),
        node("Mul", ["a", "b"], ["out"]),
        column=np.array([-1, 1]),
        row=np.array([1, -1]),
    ),
    "a shape that is computed": lambda: network(
        node("Cast", ["planes"], ["to"], to=types.INT64), node("Reshape", ["planes", "to"], ["out"])
    ),
    "a padding by a shape, again and again": lambda: network(
        *(
            part
            for number in range(9)
            for part in (
                node("Shape", [f"c{number}" if number else "planes"], [f"s{number}"]),
                node("Concat", [f"s{number}", f"s{number}"], [f"p{number}"], axis=0),
                node("Pad", [f"c{number}" if number else "planes", f"p{number}"], [f"c{number + 1}"]),
            )
        )
    ),
    "a part of a shape that is computed": lambda: network(
        node("Cast", ["planes"], ["float"], to=types.INT64),
        node("Concat", ["float", "float"], ["to"], axis=0),
        node("Reshape", ["planes", "to"], ["out"]),
    ),
    "a new shape of other size": lambda: network(
        node("Reshape", ["planes", "to"], ["out"]), to=np.array([1 << 20, 1 << 20])
    ),
    "an output twice": lambda: network(node("Relu", ["wide"], ["mean"])),
    "an input of nowhere": lambda: network(node("Relu", ["nowhere"], ["out"])),
    "several outputs": lambda: network(node("MaxPool", ["planes"], ["out", "at"], kernel_shape=[1, 1])),
    "parts of different sizes": lambda: network(
        node("Split", ["planes", "sizes"], ["a", "b"], axis=1), sizes=np.array([1, 2])
    ),
    "parts that do not fit": lambda: network(node("Split", ["planes"], ["a", "b"], axis=1, num_outputs=2)),
    "parts of one name": lambda: network(node("Split", ["planes"], ["a", "a"], axis=2, num_outputs=2)),
    "no parts": lambda: network(node("Split", ["planes"], [], axis=2)),
    "growth in parts": lambda: network(
        *(
            part
            for number in range(30)
            for part in (
                node("Concat", [f"a{number}", f"b{number}"] * 2 if number else ["planes"] * 2, [f"c{number}"], axis=1),
                node("Split", [f"c{number}"], [f"a{number + 1}", f"b{number + 1}"], axis=1, num_outputs=2),
            )
        )
    ),
    "many nodes": lambda: network(*(node("Relu", ["wide"], [f"n{number}"]) for number in range(20_001))),
}


@pytest.mark.parametrize("make", FINE.values(), ids=FINE)
def test_what_exports_have_is_taken(make: Callable[[], Any]) -> None:
    checked(make())


@pytest.mark.parametrize("make", COSTLY.values(), ids=COSTLY)
def test_what_could_take_any_memory_or_time_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(BundleError, match=r"'m\.onnx' is not a network that sskt-edge exports: .*Export the run again"):
        checked(make())


def declare(model: Any, part: str, sides: list[int]) -> None:
    getattr(model.graph, part).append(onnx.helper.make_tensor_value_info("declared", types.FLOAT, sides))


def claim(model: Any, **fields: Any) -> None:
    """An initializer that says more than it has."""
    model.graph.initializer.append(types(name="claims", dims=[1 << 20, 1 << 20], data_type=types.FLOAT, **fields))


# Each changes the tiny model.
DECLARED: dict[str, Change] = {
    "sides of a value": lambda m: declare(m, "value_info", [1 << 20, 1 << 20]),
    "sides of an output": lambda m: declare(m, "output", [1 << 20, 1 << 20]),
    "sides without number": lambda m: declare(m, "value_info", [1] * 9),
    "a tensor without its values": claim,
    "a tensor with a few raw values": lambda m: claim(m, raw_data=b"1234"),
    "a tensor with a few values": lambda m: claim(m, float_data=[1.0]),
    "texts": lambda m: m.graph.initializer.append(
        types(name="t", dims=[1], data_type=types.STRING, string_data=[b"t"])
    ),
    "negative sides": lambda m: m.graph.initializer.append(types(name="t", dims=[-1, -1], data_type=types.FLOAT)),
    "sparse": lambda m: m.graph.sparse_initializer.add().dims.append(1 << 40),
    "a sequence": lambda m: m.graph.value_info.append(
        onnx.helper.make_tensor_sequence_value_info("s", types.FLOAT, [1])
    ),
    "a function": lambda m: m.functions.add(name="f", domain="own"),
    "training": lambda m: m.training_info.add(),
    "graphs of an attribute": lambda m: m.graph.node[0].attribute.add(name="g").graphs.add(),
    "a reference of an attribute": lambda m: m.graph.node[0].attribute.add(name="r", ref_attr_name="x"),
    "an attribute twice": lambda m: m.graph.node[0].attribute.add(name="to", i=1),
}


@pytest.mark.parametrize("change", DECLARED.values(), ids=DECLARED)
def test_what_a_file_declares_must_be_in_it(change: Change) -> None:
    model = tiny_model()
    change(model)
    with pytest.raises(BundleError, match=r"not a network that sskt-edge exports"):
        checked(model)


def test_two_graphs_and_a_node_of_two_kinds_are_refused() -> None:
    """Other parsers may merge the first, and take the last of the second."""
    with pytest.raises(BundleError, match="2 graphs"):
        checked(tiny_onnx() + tiny_onnx())
    two = b"\x22\x04Relu\x22\x04Loop"  # op_type, twice
    with pytest.raises(BundleError, match="two kinds"):
        checked(b"\x3a" + bytes([len(two) + 2]) + b"\x0a" + bytes([len(two)]) + two)


def test_a_bundle_is_not_opened_with_one(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "costly", model=COSTLY["ConstantOfShape"]().SerializeToString())
    with pytest.raises(BundleError, match=r"model\.onnx' is not a network that sskt-edge exports: .*ConstantOfShape"):
        open_bundle(path)


def test_a_changed_file_is_refused_or_taken_and_nothing_else_happens() -> None:
    content, chance = FINE["a convolution"]().SerializeToString(), random.Random(0)
    for _ in range(3000):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            checked(bytes(changed))
        except BundleError:
            continue

"""An ONNX file as nodes, constants and declared shapes, read from its wire format without a runtime or onnx.

Only the form that this tool exports is read: one graph of plain nodes. Anything that contains another graph (functions,
attributes with subgraphs, training information) is refused, so that a check of the nodes sees everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sskt_edge.bundle.onnx_wire import BrokenError, fields, varints

Shape = tuple[int, ...]
# TensorProto.DataType → bytes per value: float, uint8, int8, int32, int64, bool, half, double. Exports use no others.
_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
_INT64 = 7
_MOST_VALUES = 64  # of a constant that a shape may depend on
_MOST_SIDES = 8  # the product of a million dimensions would take long by itself


class OtherFormError(Exception):
    """The file has a form that this tool never exports."""


@dataclass(frozen=True)
class Constant:
    """A tensor in the file.

    Attributes:
        shape: its dimensions.
        values: the values of a small int64 tensor; None for others.
    """

    shape: Shape
    values: tuple[int, ...] | None


@dataclass
class Node:
    """An operation. `numbers`, `texts` and `tensors` map an attribute's name to its integers, text or tensor."""

    kind: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, Constant] = field(default_factory=dict)


@dataclass
class Graph:
    """The content of a file. `declared` maps a tensor's name to its declared shape without the dynamic dimensions."""

    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    declared: dict[str, Shape] = field(default_factory=dict)


def read_graph(content: bytes | memoryview) -> Graph:
    """The graph of an ONNX file.

    Raises:
        OtherFormError: it contains something that this tool never exports.
        BrokenError: the wire format is not valid.
    """
    graphs = []
    for number, value in fields(memoryview(content).cast("B")):
        if number in (20, 25):
            raise OtherFormError("it has functions or training information")
        if number == 7:
            graphs.append(_graph(_message(value)))
    if len(graphs) != 1:
        raise OtherFormError(f"it has {len(graphs)} graphs")
    return graphs[0]


def _graph(message: memoryview) -> Graph:
    graph = Graph()
    for number, value in fields(message):
        if number == 1:
            graph.nodes.append(_node(_message(value)))
        elif number == 5:
            name, constant = _tensor(_message(value))
            graph.constants[name] = constant
        elif number in (11, 12, 13):
            name, shape = _value_info(_message(value))
            graph.declared[name] = shape
            if number == 11:
                graph.inputs.append(name)
        elif number == 15:
            raise OtherFormError("it has sparse tensors")
    graph.inputs = [name for name in graph.inputs if name not in graph.constants]
    return graph


def _node(message: memoryview) -> Node:
    node = Node()
    for number, value in fields(message):
        if number == 1:
            node.inputs.append(_text(value))
        elif number == 2:
            node.outputs.append(_text(value))
        elif number in (4, 7):
            name = "kind" if number == 4 else "domain"
            if getattr(node, name) and getattr(node, name) != _text(value):
                raise OtherFormError("a node has two kinds")
            setattr(node, name, _text(value))
        elif number == 5:
            _attribute(_message(value), node)
    return node


def _attribute(message: memoryview, node: Node) -> None:
    found: dict[int, list[Any]] = {}
    for number, value in fields(message):
        found.setdefault(number, []).append(value)
    if found.keys() & {6, 9, 10, 11, 14, 15, 21, 22, 23}:
        raise OtherFormError(f"{node.kind or 'a node'} has an attribute of a kind that this tool never exports")
    name = _text(found.get(1, [b""])[-1])
    if name in node.numbers or name in node.texts or name in node.tensors:
        raise OtherFormError(f"{node.kind or 'a node'} has two attributes '{name}'")
    numbers = [number for number in (3, 8) for value in found.get(number, []) for number in _integers(value)]
    if numbers:
        node.numbers[name] = tuple(numbers)
    if 4 in found:
        node.texts[name] = _text(found[4][-1])
    if 5 in found:
        node.tensors[name] = _tensor(_message(found[5][-1]))[1]


def _tensor(message: memoryview) -> tuple[str, Constant]:
    """The name and content of a tensor. All its values must be in the file."""
    name, kinds, dims, raw, typed, values = "", set[int](), list[int](), None, 0, list[int]()
    for number, value in fields(message):
        if number == 1:
            dims += _integers(value)
        elif number == 2:
            kinds.update(_integers(value))
        elif number in (4, 5, 7, 10, 11):
            typed += len(value) if isinstance(value, memoryview) else 8
            values += _integers(value) if number == 7 and len(values) <= _MOST_VALUES else []
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _message(value)
    (kind,) = kinds if len(kinds) == 1 else (0,)
    if kind not in _BYTES or len(dims) > _MOST_SIDES or any(side < 0 for side in dims):
        raise OtherFormError(f"tensor '{name}' has a type that is never exported, or has no shape")
    count = product(dims)
    if (raw is not None and len(raw) != count * _BYTES[kind]) or (raw is None and count > typed):
        raise OtherFormError(f"tensor '{name}' declares {count:,} values but holds another number")
    if kind != _INT64 or count > _MOST_VALUES:
        return name, Constant(tuple(dims), None)
    if raw is not None:
        values = [int.from_bytes(raw[at : at + 8], "little", signed=True) for at in range(0, len(raw), 8)]
    return name, Constant(tuple(dims), tuple(values))


def _value_info(message: memoryview) -> tuple[str, Shape]:
    """The name and declared dimensions of a value. Anything but a tensor is refused."""
    name, sides = "", list[int]()
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for kind, of_type in fields(_message(value)):
                if kind in (4, 5, 7, 8, 9):
                    raise OtherFormError(f"'{name}' is not a plain tensor")
                sides += _declared(_message(of_type)) if kind == 1 else []
    if len(sides) > _MOST_SIDES:
        raise OtherFormError(f"'{name}' has {len(sides)} dimensions")
    return name, tuple(sides)


def _declared(tensor_type: memoryview) -> Iterator[int]:
    for number, shape in fields(tensor_type):
        if number == 2:
            for kind, dim in fields(_message(shape)):
                if kind == 1:
                    yield from (size for part, value in fields(_message(dim)) if part == 1 for size in _integers(value))


def product(sides: list[int] | Shape) -> int:
    """The product of the dimensions; 1 if there are none."""
    out = 1
    for side in sides:
        out *= side
    return out


def _message(value: int | memoryview | None) -> memoryview:
    if not isinstance(value, memoryview):
        raise BrokenError("there is a number in the place of a message")
    return value


def _text(value: int | memoryview | bytes | None) -> str:
    return bytes(value if isinstance(value, bytes) else _message(value)).decode(errors="replace")


def _integers(value: int | memoryview | None) -> list[int]:
    """One integer, or the integers of a packed field, as signed 64-bit numbers."""
    if isinstance(value, int):
        return [_signed(value)]
    return [_signed(number) for number in varints(_message(value))]


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value

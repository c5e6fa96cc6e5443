"""Limits on a bundle's network: only the operations that this tool exports, in bounded memory and time.

A bundle may come from somebody else, and a few bytes of ONNX can demand any amount of memory (ConstantOfShape, a
padding of a million) or time (Loop). So only the operations below are accepted, the shape of every tensor is inferred
before a runtime sees the file, and the sums over all shapes are limited in proportion to the pixels of the input.
"""

from __future__ import annotations

from collections.abc import Callable

from sskt_edge.bundle.onnx_graph import Constant, Graph, Node, OtherFormError, Shape, product, read_graph
from sskt_edge.bundle.onnx_wire import BrokenError
from sskt_edge.common.errors import BundleError

# Limits per pixel of the input. In the exports of the targets a tensor has up to 24 values, all tensors together have
# up to 3,000, and there are up to 125,000 products. Constants come on top: the file itself is as large as they are.
VALUES_OF_A_TENSOR, VALUES, PRODUCTS = 256, 1 << 15, 1 << 21
_MOST_NODES = 20_000
_MOST_SIDES = 8

Sides = Callable[["_Operands"], Shape]


class _Operands:
    """A node with the shapes of its inputs."""

    def __init__(self, node: Node, shapes: dict[str, Shape], graph: Graph) -> None:
        self.node, self._shapes, self._graph = node, shapes, graph

    def shape(self, number: int = 0, sides: int | None = None) -> Shape:
        """The shape of an input, which must have `sides` dimensions."""
        if number >= len(self.node.inputs) or self.node.inputs[number] not in self._shapes:
            raise OtherFormError(f"{self.node.kind} lacks an input")
        shape = self._shapes[self.node.inputs[number]]
        if sides is not None and len(shape) != sides:
            raise OtherFormError(f"{self.node.kind} has an input of {len(shape)} dimensions, not {sides}")
        return shape

    def values(self, number: int) -> tuple[int, ...] | None:
        """The values of an input that is a constant; None if it is left out."""
        if number >= len(self.node.inputs) or not self.node.inputs[number]:
            return None
        constant = self._graph.constants.get(self.node.inputs[number])
        if constant is None or constant.values is None:
            raise OtherFormError(f"{self.node.kind} has a computed shape")
        return constant.values

    def is_known(self, number: int) -> bool:
        """Whether the values of an input are known."""
        constant = self._graph.constants.get(self.node.inputs[number])
        return constant is not None and constant.values is not None

    def numbers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute, which must have as many numbers as `default`."""
        found = self.node.numbers.get(name, default)
        if len(found) != len(default):
            raise OtherFormError(f"{self.node.kind} has an unsupported {name}")
        return found


def _same(it: _Operands) -> Shape:
    return it.shape()


def _broadcast(it: _Operands) -> Shape:
    one, other = it.shape(0), it.shape(1)
    longest = max(len(one), len(other))
    pairs = zip((1,) * (longest - len(one)) + one, (1,) * (longest - len(other)) + other, strict=True)
    return tuple(max(pair) for pair in pairs)


def _concat(it: _Operands) -> Shape:
    shapes = [it.shape(number) for number in range(len(it.node.inputs))]
    (axis,) = it.numbers("axis", (1,))
    first = list(it.shape())
    first[_place(axis, len(first))] = sum(shape[_place(axis, len(shape))] for shape in shapes)
    return tuple(first)


def _split(it: _Operands) -> Shape:
    """The shape of every output; all must be equal."""
    shape, outputs = list(it.shape()), len(it.node.outputs)
    (axis,) = it.numbers("axis", (0,))
    place = _place(axis, len(shape))
    if outputs == 0 or it.values(1) not in (None, (shape[place] // outputs,) * outputs) or shape[place] % outputs:
        raise OtherFormError("Split has outputs of different shapes")
    shape[place] //= outputs
    return tuple(shape)


def _transpose(it: _Operands) -> Shape:
    shape = it.shape()
    order = it.node.numbers.get("perm", tuple(reversed(range(len(shape)))))
    if sorted(order) != list(range(len(shape))):
        raise OtherFormError("Transpose has an unsupported perm")
    return tuple(shape[axis] for axis in order)


def _planes(it: _Operands) -> Shape:
    """The shape of the first input: [N,C,H,W], or [N,C,T,H,W] for clips."""
    shape = it.shape()
    if len(shape) not in (4, 5):
        raise OtherFormError(f"{it.node.kind} has an input of {len(shape)} dimensions, not 4 or 5")
    return shape


def _windows(it: _Operands, kernel: Shape) -> Shape:
    """The output size of a window of the kernel's size: [H,W] or [T,H,W]."""
    if it.node.texts.get("auto_pad", "NOTSET") != "NOTSET":
        raise OtherFormError(f"{it.node.kind} has auto_pad")
    axes = len(kernel)
    pads = it.numbers("pads", (0, 0) * axes)
    strides, dilations = it.numbers("strides", (1,) * axes), it.numbers("dilations", (1,) * axes)
    (rounds_up,) = it.numbers("ceil_mode", (0,))
    sides = []
    for axis, side in enumerate(_planes(it)[2:]):
        if min(kernel[axis], strides[axis], dilations[axis]) < 1:
            raise OtherFormError(f"{it.node.kind} has an unsupported window")
        free = side + pads[axis] + pads[axis + axes] - dilations[axis] * (kernel[axis] - 1) - 1
        sides.append((free + (strides[axis] - 1 if rounds_up else 0)) // strides[axis] + 1)
    return tuple(sides)


def _convolution(it: _Operands) -> Shape:
    planes = _planes(it)
    kernel = it.shape(1, sides=len(planes))
    return (planes[0], kernel[0], *_windows(it, kernel[2:]))


def _pool(it: _Operands) -> Shape:
    planes = _planes(it)
    return (*planes[:2], *_windows(it, it.numbers("kernel_shape", (1,) * len(planes[2:]))))


def _global_pool(it: _Operands) -> Shape:
    planes = _planes(it)
    return (*planes[:2], *(1,) * len(planes[2:]))


def _gemm(it: _Operands) -> Shape:
    (a_turned,), (b_turned,) = it.numbers("transA", (0,)), it.numbers("transB", (0,))
    return it.shape(0, sides=2)[1 if a_turned else 0], it.shape(1, sides=2)[0 if b_turned else 1]


def _pad(it: _Operands) -> Shape:
    shape, pads, axes = it.shape(), it.values(1) or (), it.values(3)
    places = range(len(shape)) if axes is None else [_place(axis, len(shape)) for axis in axes]
    if len(pads) != 2 * len(places):
        raise OtherFormError("Pad has unsupported pads")
    out = list(shape)
    for number, place in enumerate(places):
        out[place] += pads[number] + pads[number + len(places)]
    return tuple(out)


def _mean(it: _Operands) -> Shape:
    shape = it.shape()
    axes = it.node.numbers.get("axes") or it.values(1) or tuple(range(len(shape)))
    gone = {_place(axis, len(shape)) for axis in axes}
    (keeps,) = it.numbers("keepdims", (1,))
    kept = [1 if axis in gone else side for axis, side in enumerate(shape)]
    return tuple(side for axis, side in enumerate(kept) if keeps or axis not in gone)


def _reshape(it: _Operands) -> Shape:
    shape, wanted = it.shape(), list(it.values(1) or ())
    for axis, side in enumerate(wanted):
        if side == 0 and axis < len(shape):
            wanted[axis] = shape[axis]
    if wanted.count(-1) == 1:
        known = product([side for side in wanted if side != -1])
        wanted[wanted.index(-1)] = product(shape) // known if known else 0
    if product(wanted) != product(shape):
        raise OtherFormError("Reshape would change the number of values")
    return tuple(wanted)


def _flatten(it: _Operands) -> Shape:
    shape = it.shape()
    (axis,) = it.numbers("axis", (1,))
    place = axis + len(shape) if axis < 0 else axis
    return product(shape[:place]), product(shape[place:])


def _constant(it: _Operands) -> Shape:
    if "value" not in it.node.tensors:
        return (len(next(iter(it.node.numbers.values()), ())),)
    return it.node.tensors["value"].shape


def _part_of_a_shape(it: _Operands) -> Shape:
    """The output shape of Shape: the dimensions from `start` to `end`."""
    (start,), (end,) = it.numbers("start", (0,)), it.numbers("end", (_MOST_SIDES,))
    return it.shape()[start:end]


# The operations of every registered target in every precision, and the variants that other exporters write for the same
# networks. Add a new target's operations here, each with the rule for its output shape.
OPERATIONS: dict[str, Sides] = {
    **dict.fromkeys(("Cast", "Clip", "HardSigmoid", "HardSwish", "Identity", "Relu", "Sigmoid"), _same),
    **dict.fromkeys(("BatchNormalization", "DequantizeLinear", "QuantizeLinear"), _same),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), _broadcast),
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    "Concat": _concat,
    "Constant": _constant,
    "Conv": _convolution,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "MatMul": lambda it: (it.shape(0, sides=2)[0], it.shape(1, sides=2)[1]),
    "Pad": _pad,
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "Split": _split,
    "Shape": lambda it: (len(_part_of_a_shape(it)),),
    "Transpose": _transpose,
}


def refuse_costly(content: bytes | memoryview, batch: int, shape: Shape, where: str) -> None:
    """Check that a bundle's network uses only operations that this tool exports, and stays within the limits.

    Args:
        content: the ONNX file.
        batch: the largest batch that is run.
        shape: the shape of one image, channels last: (S,S,3).
        where: the file's name, for messages.

    Raises:
        BundleError: it has another operation, a subgraph or computed shapes, or needs too much memory or work.
    """
    try:
        _check(read_graph(content), (batch, *shape))
    except (OtherFormError, BrokenError, IndexError) as error:
        raise BundleError(
            f"'{where}' is not a network that sskt-edge exports: {error}. It could use any amount of memory or time, "
            f"so it is not opened. Export the run again."
        ) from error


def _check(graph: Graph, images: Shape) -> None:
    if len(graph.nodes) > _MOST_NODES:
        raise OtherFormError(f"it has {len(graph.nodes):,} nodes")
    pixels = product(images[:-1])
    kept = sum(product(constant.shape) for constant in graph.constants.values())
    shapes = {name: constant.shape for name, constant in graph.constants.items()} | dict.fromkeys(graph.inputs, images)
    of_a_tensor = VALUES_OF_A_TENSOR * pixels + kept
    for name, declared in graph.declared.items():
        _hold(product(declared), of_a_tensor, f"the declared values of '{name}'")
    values, products = 0, 0
    for node in graph.nodes:
        if node.domain not in ("", "ai.onnx") or node.kind not in OPERATIONS:
            kind = ".".join(filter(None, (node.domain, node.kind)))
            raise OtherFormError(f"it has the operation '{kind[:100]}'")
        operands = _Operands(node, shapes, graph)
        shape = OPERATIONS[node.kind](operands)
        outputs = dict.fromkeys(node.outputs, shape)
        if min(shape, default=1) < 1 or len(outputs) != len(node.outputs) or outputs.keys() & shapes.keys():
            raise OtherFormError(f"{node.kind} has the output shape {list(shape)}, or a name that is taken")
        if len(outputs) != 1 and node.kind != "Split":
            raise OtherFormError(f"{node.kind} has {len(outputs)} outputs")
        shapes |= outputs
        if (known := _known(operands, shape)) is not None:
            graph.constants[node.outputs[0]] = known
        values += product(shape) * len(outputs)
        products += product(shape) * _terms(operands)
        _hold(product(shape), of_a_tensor, f"the values of a {node.kind}")
        _hold(values, VALUES * pixels + 16 * kept, "the values of all nodes")
        _hold(products, PRODUCTS * pixels + images[0] * kept, "the products")


def _known(it: _Operands, shape: Shape) -> Constant | None:
    """The values of an output that a shape may depend on: a constant in the file, a Shape, or a Concat of these.

    Torch 2.6 writes the batch size of a flattening that way.
    """
    if "value" in it.node.tensors:
        return it.node.tensors["value"]
    if it.node.kind == "Shape":
        return Constant(shape, _part_of_a_shape(it))
    if it.node.kind != "Concat" or not all(it.is_known(number) for number in range(len(it.node.inputs))):
        return None
    values = tuple(value for number in range(len(it.node.inputs)) for value in it.values(number) or ())
    return Constant(shape, values) if len(shape) == 1 and len(values) <= _MOST_SIDES else None


def _terms(it: _Operands) -> int:
    """The number of products in one value of the output."""
    if it.node.kind == "Conv":
        return product(it.shape(1)[1:])
    if it.node.kind in ("AveragePool", "MaxPool"):
        return product(it.numbers("kernel_shape", (1,) * len(it.shape()[2:])))
    return it.shape(0)[-1] if it.node.kind == "MatMul" else max(it.shape(0)) if it.node.kind == "Gemm" else 0


def _hold(count: int, most: int, what: str) -> None:
    if count > most:
        raise OtherFormError(f"{what} are {count:,}, but at most {most:,} are allowed")


def _place(axis: int, sides: int) -> int:
    """An axis, counted from the front."""
    if not -sides <= axis < sides:
        raise OtherFormError(f"axis {axis} does not exist in {sides} dimensions")
    return axis % sides

"""Get logits from somebody else's ONNX network, whose last node may already turn them into probabilities.

Soft labels are softmax(logits/T). The softmax of probabilities is nearly uniform and teaches nothing. A Softmax at the
end of the graph is removed: its input is exactly the logits. If only the output shows that it consists of probabilities
p, log p is appended: it equals the logits up to a constant, which does not change a softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from sskt_edge.common.errors import NetworkError
from sskt_edge.tasks.softmax import log_softmax

# Nodes that pass on their input in another form without changing its order.
_FORMS = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout", "Cast")
# Nodes between a Softmax and the output that would spoil logits; they are removed together with it.
_OF_PROBABILITIES = ("Clip", "Log", "QuantizeLinear", "DequantizeLinear")
_SIGMOIDS = ("Sigmoid", "HardSigmoid")
# In half precision a row of probabilities sums to 1 within this, and softmax of its logits equals it within this.
_NEAR = 1e-2
_SMALLEST = np.finfo(np.float32).tiny  # below this, float32 loses digits
_LOGARITHM = "sskt_edge_log"

# The origin of a source's logits, as its facts state it.
CUT, LOGARITHM = "input of the last Softmax", "logarithm of the answers"

Answers = Callable[[onnx.ModelProto], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class OnnxLogits:
    """A network whose first output is logits.

    Attributes:
        model: the network.
        classes: the number of logits.
        taken_from: "" for the file's own output, or the origin of the logits; see CUT and LOGARITHM.
    """

    model: onnx.ModelProto
    classes: int
    taken_from: str = ""

    @property
    def remark(self) -> str:
        """A remark for the user about their origin; "" if they are the file's own output."""
        return {
            "": "",
            CUT: "the ONNX file ends in a Softmax; the Softmax's input is used as the logits",
            LOGARITHM: "the ONNX file outputs probabilities; their logarithm is used as the logits",
        }[self.taken_from]


def probes(size: int) -> NDArray[np.uint8]:
    """Images that distinguish probabilities from logits: black, white, noise, faint noise. uint8 [4,size,size,3]."""
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    faint = noise[1] // 8 + 112
    return np.stack([np.zeros_like(faint), np.full_like(faint, 255), noise[0], faint])


def logits_of(model: onnx.ModelProto, answers_of: Answers, where: str) -> OnnxLogits:
    """The network with logits as its first output; unchanged if that output is logits or log-probabilities already.

    Args:
        model: the network; it is not changed.
        answers_of: computes the output of a network with the same input for `probes`. ModelProto → float32 [4,classes].
        where: the file's name, for messages.

    Raises:
        NetworkError: its outputs are probabilities from which the logits cannot be recovered exactly.
    """
    answers = answers_of(model)
    classes = answers.shape[1]
    tail = _tail(model.graph)
    kinds = [node.op_type for node in tail]
    if kinds and kinds[-1] in _SIGMOIDS:
        raise NetworkError(
            f"'{where}' ends in a {kinds[-1]}: it gives every class a separate probability, from which softmax cannot "
            f"make soft labels. Export the network without its {kinds[-1]}, or name another source."
        )
    if kinds and kinds[-1] == "Softmax":
        cut = _cut(model, {node.output[0] for node in tail if node.op_type in ("Softmax", *_OF_PROBABILITIES)})
        _check_cut(answers_of(cut), np.exp(answers) if "Log" in kinds else answers, where)
        return OnnxLogits(cut, classes, CUT)
    if not _are_probabilities(answers):
        if classes > 1 and answers.min() >= 0 and answers.max() <= 1:
            raise NetworkError(
                f"'{where}' outputs numbers from 0 to 1 that do not sum to 1, like those of a sigmoid: it gives every "
                f"class a separate probability, from which softmax cannot make soft labels. Export the network without "
                f"its last activation, or name another source."
            )
        return OnnxLogits(model, classes)
    if answers.min() < _SMALLEST or (answers == answers.astype(np.float16)).all():
        raise NetworkError(
            f"'{where}' outputs probabilities that are rounded too coarsely to take their logarithm (to 0, or to half "
            f"precision). Export the network without its softmax."
        )
    return OnnxLogits(_with_logarithm(model), classes, LOGARITHM)


def _tail(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes from the first output back to, and including, the first one that computes something."""
    makers = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    node = makers.get(graph.output[0].name)
    while node is not None:
        nodes.append(node)
        passes_on = node.op_type in (*_FORMS, *_OF_PROBABILITIES) and len(node.input) > 0
        node = makers.get(node.input[0]) if passes_on else None
    return nodes


def _cut(model: onnx.ModelProto, outputs: set[str]) -> onnx.ModelProto:
    """Replace the nodes that make `outputs` by nodes that pass on their first input unchanged."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    for node in cut.graph.node:
        if node.output and node.output[0] in outputs:
            node.op_type, node.domain = "Identity", ""
            del node.attribute[:], node.input[1:]
    del cut.graph.value_info[:]  # a tensor that was quantised has another type now
    return cut


def _check_cut(logits: NDArray[np.float32], answers: NDArray[np.float32], where: str) -> None:
    """Check that the softmax of the logits over the classes equals the network's output. [4,C], [4,C]."""
    if logits.shape == answers.shape and np.abs(np.exp(log_softmax(logits)) - answers).max() <= _NEAR:
        return
    raise NetworkError(
        f"'{where}' ends in a Softmax that is not over its {answers.shape[1]} classes, so it has no logits of them. "
        f"Export the network without its Softmax, with one output float [B,classes]."
    )


def _are_probabilities(answers: NDArray[np.float32]) -> bool:
    """Whether every row consists of probabilities that sum to 1. Logits do not sum to 1 on every image."""
    near = bool((np.abs(answers.sum(axis=1) - 1) <= _NEAR).all())
    return answers.shape[1] > 1 and bool((answers >= 0).all()) and near


def _with_logarithm(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with log(p + the smallest float) as its first output, so that a later 0 gives -87.3 and not -∞."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    names = [f"{_LOGARITHM}_{number}" for number in range(3)]
    smallest = numpy_helper.from_array(np.array(_SMALLEST, dtype=np.float32))
    graph.node.extend(
        [
            helper.make_node("Constant", [], [names[0]], value=smallest),
            helper.make_node("Add", [graph.output[0].name, names[0]], [names[1]]),
            helper.make_node("Log", [names[1]], [names[2]]),
        ]
    )
    graph.output[0].name = names[2]
    return changed

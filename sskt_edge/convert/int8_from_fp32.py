"""An fp32 network and its ranges → the network in int8: QuantizeLinear and DequantizeLinear around each layer."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import QuantType, quant_pre_process
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from sskt_edge.common.quiet import errors_alone
from sskt_edge.convert.calibration import QUANTISED_OPS
from sskt_edge.convert.onnx_clean import clean


@dataclass(frozen=True)
class Form:
    """How int8 is written down, which depends on the library that runs it.

    Attributes:
        name: of the precision in a bundle.
        activations: the type of what flows between layers.
        symmetric: zero is at zero, so that no zero points are needed.
        int_bias: biases are int32 too.
    """

    name: str
    activations: QuantType
    symmetric: bool
    int_bias: bool


# TensorRT takes no zero points and no integer biases; OpenVINO takes the same file.
TENSORRT = Form("int8", QuantType.QInt8, symmetric=True, int_bias=False)
# ONNX Runtime's CPU kernels multiply uint8 by int8.
CPU = Form("int8-cpu", QuantType.QUInt8, symmetric=False, int_bias=True)


@dataclass(frozen=True)
class Layer:
    """A node that can be int8.

    Attributes:
        node: its name in the graph.
        name: what it is called in the network: "features.3.conv.1.0", or the node's name where it has no weight.
    """

    node: str
    name: str


def prepared(content: bytes) -> onnx.ModelProto:
    """The bytes of an fp32 file → the network with constants folded and every tensor's shape known."""
    with tempfile.TemporaryDirectory(prefix="sskt-edge-") as folder, errors_alone(""):
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        before.write_bytes(content)
        quant_pre_process(str(before), str(after), skip_symbolic_shape=True)
        model = onnx.load(after)
    # It leaves a note of its own.
    del model.metadata_props[:]
    model.metadata_props.extend(onnx.load_from_string(content).metadata_props)
    return model


def layers(model: onnx.ModelProto) -> list[Layer]:
    """The layers of a prepared network that can be int8, from the first one with weights to the logits.

    What stands before it scales the pixels.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    floats = {
        value.name
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    found: list[Layer] = []
    for node in model.graph.node:
        if node.op_type in QUANTISED_OPS and node.output[0] in floats:
            own = [name for name in node.input[1:2] if name in weights and node.op_type != "Add"]
            if not own and not found:
                continue
            name = own[0].removeprefix("network.").removesuffix(".weight") if own else node.name
            found.append(Layer(node.name, name))
    return found


def quantised(model: onnx.ModelProto, table: Any, form: Form, nodes: Collection[str]) -> bytes:
    """The prepared network with `nodes` in int8 and all else in fp32, as the bytes of an ONNX file.

    Args:
        model: a prepared fp32 network; it is left as it is.
        table: the ranges of its tensors.
        form: how int8 is written down.
        nodes: the names of the nodes that become int8.
    """
    options = {
        "ActivationSymmetric": form.symmetric,
        "WeightSymmetric": True,
        "QuantizeBias": form.int_bias,
        # An activation behind a layer cuts off what is far; rounded before it, the rest would be coarse.
        "OpTypesToExcludeOutputQuantization": list(QUANTISED_OPS),
    }
    with errors_alone(""):
        quantizer = QDQQuantizer(
            copy.deepcopy(model),
            True,  # a scale for each output channel
            False,
            QuantType.QInt8,
            form.activations,
            table,
            list(nodes),
            [] if nodes else [node.name for node in model.graph.node],  # an empty list of nodes means all of them
            list(QUANTISED_OPS),
            options,
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    written: onnx.ModelProto = quantizer.model.model
    told = {one.key: one.value for one in model.metadata_props}
    clean(written, {**told, "sskt_edge.precision": form.name})
    onnx.checker.check_model(written, full_check=True)
    return bytes(written.SerializeToString())

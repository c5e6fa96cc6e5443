"""Quantise an fp32 network to int8 by its ranges: QuantizeLinear and DequantizeLinear around each layer."""

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
    """The form of the quantisation, which depends on the library that runs the file.

    Attributes:
        name: the name of the precision in a bundle.
        activations: the type of the activations.
        symmetric: whether the zero points are zero, so that none are needed.
        int_bias: whether biases are quantised too, to int32.
    """

    name: str
    activations: QuantType
    symmetric: bool
    int_bias: bool


# TensorRT supports neither zero points nor integer biases; OpenVINO runs the same file.
TENSORRT = Form("int8", QuantType.QInt8, symmetric=True, int_bias=False)
# ONNX Runtime's CPU kernels multiply uint8 by int8.
CPU = Form("int8-cpu", QuantType.QUInt8, symmetric=False, int_bias=True)


@dataclass(frozen=True)
class Layer:
    """A node that can be int8.

    Attributes:
        node: its name in the graph.
        name: its name in the network, such as "features.3.conv.1.0", or the node's name if it has no weight.
    """

    node: str
    name: str


def prepared(content: bytes) -> onnx.ModelProto:
    """Read the bytes of an fp32 file, fold constants and infer the shape of every tensor."""
    with tempfile.TemporaryDirectory(prefix="sskt-edge-") as folder, errors_alone(""):
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        before.write_bytes(content)
        quant_pre_process(str(before), str(after), skip_symbolic_shape=True)
        model = onnx.load(after)
    # The preparation leaves its own metadata in the model.
    del model.metadata_props[:]
    model.metadata_props.extend(onnx.load_from_string(content).metadata_props)
    return model


def layers(model: onnx.ModelProto) -> list[Layer]:
    """The layers of a prepared network that can be int8, from the first one with weights to the logits.

    The nodes before the first one scale the pixels.
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
    """Quantise `nodes` of a prepared network and leave the others in fp32. Returns the bytes of an ONNX file.

    Args:
        model: a prepared fp32 network; it is not changed.
        table: the ranges of its tensors.
        form: the form of the quantisation.
        nodes: the names of the nodes that become int8.
    """
    options = {
        "ActivationSymmetric": form.symmetric,
        "WeightSymmetric": True,
        "QuantizeBias": form.int_bias,
        # The activation after a layer clips large values; quantising before it would waste resolution on them.
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

"""An ONNX model without what speaks of the machine that made it, and with the metadata that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

IR_VERSION = 10  # what the last ONNX Runtime for Python 3.10 reads


def clean(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Take out what speaks of the machine that exported (stack traces with its paths); put in what is worth knowing."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "sskt-edge", "", ""
    for graph in (model.graph, *model.functions):
        for part in (graph, *graph.node, *graph.value_info):
            del part.metadata_props[:]
            part.doc_string = ""
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))

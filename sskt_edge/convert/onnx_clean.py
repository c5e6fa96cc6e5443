"""Remove the traces of the exporting machine from an ONNX model, and add its metadata."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

IR_VERSION = 10  # the newest that the last ONNX Runtime for Python 3.10 reads


def clean(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Remove the traces of the exporting machine, such as stack traces with its paths, and add `metadata`."""
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

"""An fp32 ONNX file → the same network computing in fp16; it still takes uint8 and answers in float32."""

from __future__ import annotations

import warnings

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from sskt_edge.convert.onnx_clean import clean


def fp16_from_fp32(content: bytes) -> bytes:
    """The bytes of an fp32 file → those of its fp16 file.

    Weights and everything between input and output become half floats; a weight beyond their range is cut to it, which
    the file's evaluation shows.
    """
    model = onnx.load_from_string(content)
    told = {one.key: one.value for one in model.metadata_props}
    with warnings.catch_warnings():
        # It warns of every weight that half floats round to nothing.
        warnings.simplefilter("ignore")
        half = convert_float_to_float16(model, keep_io_types=True)
    ONNXModel(half).topological_sort()  # its casts stand at the end
    clean(half, {**told, "sskt_edge.precision": "fp16"})
    onnx.checker.check_model(half, full_check=True)
    return bytes(half.SerializeToString())

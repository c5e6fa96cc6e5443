"""Convert an fp32 ONNX file to fp16; its input stays uint8 and its output float32."""

from __future__ import annotations

import warnings

import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from sskt_edge.convert.onnx_clean import clean


def fp16_from_fp32(content: bytes) -> bytes:
    """The bytes of an fp32 file → those of its fp16 file.

    Weights and everything between input and output become fp16. Weights outside its range are clipped; the file's
    evaluation shows the effect.
    """
    model = onnx.load_from_string(content)
    told = {one.key: one.value for one in model.metadata_props}
    with warnings.catch_warnings():
        # The converter warns of every weight that becomes zero in fp16.
        warnings.simplefilter("ignore")
        half = convert_float_to_float16(model, keep_io_types=True)
    ONNXModel(half).topological_sort()  # the converter appends its casts at the end
    clean(half, {**told, "sskt_edge.precision": "fp16"})
    onnx.checker.check_model(half, full_check=True)
    return bytes(half.SerializeToString())

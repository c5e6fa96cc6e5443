"""A network with its preprocessing as one ONNX file: uint8 NHWC in, logits out, weights inline, no local path."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping

import onnx
import torch
from torch import Tensor, nn

from sskt_edge.data.pixels import Pixels
from sskt_edge.runtime.session import INPUT_NAME, OUTPUT_NAME

# 18 is what JetPack 6's TensorRT reads; IR 10 is what the last ONNX Runtime for Python 3.10 reads.
OPSET = 18
IR_VERSION = 10


class Deployed(nn.Module):
    """What is exported: preprocessing, then the network. uint8 [B,S,S,3] → float32 [B,classes]."""

    def __init__(self, network: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        self.pixels = pixels
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B,S,S,3] → float32 [B,classes]."""
        # In another order in memory, the exporter writes down where each value lies: Shape, Range, Gather after a mean.
        logits: Tensor = self.network(self.pixels(images).contiguous())
        return logits


def onnx_from_module(
    network: nn.Module, pixels: Pixels, side: int, max_batch: int, metadata: Mapping[str, str]
) -> bytes:
    """The content of an ONNX file of `network` behind `pixels`, checked by onnx's checker.

    Args:
        network: in eval mode, on the CPU.
        pixels: its preprocessing, which goes into the graph.
        side: of the square images that the file takes, uint8 [batch,side,side,3].
        max_batch: the largest batch that is promised; the graph's batch is dynamic.
        metadata: goes into the file.
    """
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    dynamic = {0: torch.export.Dim("batch", min=1, max=max(max_batch, 2))}
    with _quiet():
        program = torch.onnx.export(
            Deployed(network, pixels).eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes=(dynamic,),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = program.model_proto
    clean(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


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


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """The exporter prints its steps and warns of its own insides; a user can do nothing about either."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

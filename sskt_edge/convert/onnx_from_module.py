"""Export a network with its preprocessing as one ONNX file: uint8 in, channels last; logits out; weights inline."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import cast

import onnx
import torch
from torch import Tensor, nn

from sskt_edge.common.errors import WorkError
from sskt_edge.common.packages import version_of
from sskt_edge.common.quiet import errors_alone
from sskt_edge.convert.onnx_clean import clean
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.session import INPUT_NAME, OUTPUT_NAME

_WHY = 300  # the most characters to quote of a message that may hold a whole graph
_NO_FORM = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")  # the exporter's DispatchError
OPSET = 18  # JetPack 6's TensorRT reads it


class Deployed(nn.Module):
    """The module that is exported: preprocessing, then the network. uint8 [B,*shape] → float32 [B,classes]."""

    def __init__(self, network: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        self.pixels = pixels
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B,*shape] → float32 [B,classes]."""
        # With another memory order the exporter adds index computations: Shape, Range and Gather after a mean.
        logits: Tensor = self.network(self.pixels(images).contiguous())
        return logits


def onnx_from_module(
    network: nn.Module, pixels: Pixels, shape: tuple[int, ...], max_batch: int, metadata: Mapping[str, str]
) -> bytes:
    """The content of an ONNX file of `pixels` followed by `network`, checked by onnx's checker.

    Args:
        network: the network, in eval mode, on the CPU.
        pixels: its preprocessing, which goes into the graph.
        shape: the shape of one image of the file's input, uint8 [batch,*shape], channels last: (S,S,3).
        max_batch: the largest batch that the file must support; the graph's batch is dynamic.
        metadata: entries to write into the file.

    Raises:
        WorkError: torch's exporter fails: it does not support an operation of the network, or its version and those of
            onnxscript and onnx do not match.
    """
    example = torch.zeros(2, *shape, dtype=torch.uint8)
    dynamic = {0: torch.export.Dim("batch", min=1, max=max(max_batch, 2))}
    try:
        with _quiet():
            program = torch.onnx.export(
                Deployed(network, pixels).eval(),
                (example,),
                dynamo=True,
                optimize=True,  # it is off by default in torch 2.6
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=(dynamic,),
                verbose=False,
            )
            model = cast(torch.onnx.ONNXProgram, program).model_proto
    except Exception as error:
        raise _not_written(error) from error
    clean(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _not_written(error: BaseException) -> WorkError:
    """The error for a failed export. The exporter's errors share no class, and the last in the chain is the cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    why = " ".join(f"{type(error).__name__}: {error}".split())[:_WHY]
    if operation := _NO_FORM.search(why):
        return WorkError(
            f"torch {version_of('torch')} cannot write '{operation[1]}' as ONNX: its exporter does not support this "
            f"operation. Write the network without it, or use a newer torch that supports it."
        )
    versions = ", ".join(f"{name} {version_of(name)}" for name in ("torch", "onnxscript", "onnx", "protobuf"))
    return WorkError(
        f"torch could not write the network as ONNX: {why}. Installed: {versions}. Usually the cause is that these "
        f"versions do not match: upgrade torch, or install matching versions of the others (for torch 2.6: "
        f"onnxscript 0.2.7, onnx 1.17, protobuf 5)."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which prints its steps and warns about its internals; users can do nothing about either."""
    with errors_alone("torch.onnx", "onnxscript", "onnx_ir"), warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        yield

"""onnx/<path>: any exported network, run by the sessions of sskt_edge.inference."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.common.errors import CheckpointError, NetworkError, RecipeError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.session import Session
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.engines import ENGINES, SourceEngine, engines_here, open_onnx_session
from sskt_edge.sources.onnx_logits import OnnxLogits, logits_of, probes
from sskt_edge.sources.onnx_pixels import OnnxInput, onnx_input_of, onnx_with_pixels
from sskt_edge.sources.source import Outputs, identity_of


class OnnxSource:
    """An ONNX network; for each image size, the preprocessing that it lacks is added.

    Args:
        name: its name in the recipe.
        sha256: the hash of the file, in hex.
        logits: the network.
        onnx_input: the network's input.
        size: the side of its input.
        pixels: the mean and std for a network that takes floats; None for one that takes bytes.
        device: the device of the training; CUDA is used if this is CUDA and onnxruntime supports it, else the CPU.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        logits: OnnxLogits,
        onnx_input: OnnxInput,
        size: int,
        pixels: Pixels | None,
        device: torch.device,
    ) -> None:
        self.name, self.input_size, self.device = name, size, device
        self.outputs: Outputs = "logits"
        self.license: str | None = None
        self.classes, self.remark = logits.classes, logits.remark
        self._model, self._onnx_input, self._pixels = logits.model, onnx_input, pixels
        self._prepared: dict[int, bytes] = {}
        self.facts: dict[str, Any] = {
            "model": "onnx",
            "weights": sha256,
            "input_size": size,
            "mean": pixels and list(pixels.mean),
            "std": pixels and list(pixels.std),
            "batchnorm": "frozen",
            **({"logits": logits.taken_from} if logits.taken_from else {}),
        }

    @property
    def identity(self) -> str:
        """The SHA-256 of the facts, in hex."""
        return identity_of(self.facts)

    def engines(self) -> tuple[SourceEngine, ...]:
        """The engines that can run it here, ONNX Runtime in fp32 first."""
        here = engines_here(ENGINES["onnxruntime-fp32"], self.device)
        return tuple(engine for engine in here if engine.backend != "torch")

    def open(
        self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
    ) -> Session:
        """A session that takes uint8 [N,size,size,3]. A file with a fixed batch runs that batch, whatever `batch` is.

        An int8 engine needs images [n,size,size,3] to calibrate its file with.

        Raises:
            NetworkError: the engine does not support the network in its precision, or is torch.
            MissingExtraError: the engine's library is not installed.
        """
        if engine.backend == "torch":
            raise NetworkError(f"Source '{self.name}' is an ONNX file, which torch does not run. Use onnxruntime.")
        if size not in self._prepared:
            self._prepared[size] = _prepared(self._model, self._onnx_input, size, self.input_size, self._pixels)
        content, batch = self._prepared[size], self._onnx_input.batch or batch
        return open_onnx_session(content, engine, self.device, size, batch, calibration)


def open_onnx(part: SourceOptions, device: torch.device) -> OnnxSource:
    """The network of an ONNX file; one that takes floats needs mean and std in the recipe."""
    if part.batchnorm == "recalibrated":
        raise RecipeError(f"sources.{part.name}.batchnorm: an ONNX file is frozen. Set it to 'frozen'.")
    path = Path(part.model.partition("/")[2])
    if not path.is_file():
        raise CheckpointError(f"No ONNX file '{path}'. Check the path.")
    content = path.read_bytes()
    refuse_untrusted(content, str(path))
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's error, whose class depends on the implementation
        raise CheckpointError(f"'{path}' is not a complete ONNX file: {error}. Fetch it again.") from error
    onnx_input = onnx_input_of(model, str(path))
    size = _size(part, onnx_input)
    pixels = _pixels(part, onnx_input, size)

    def answers_of(network: onnx.ModelProto) -> NDArray[np.float32]:
        images, engine = probes(size), ENGINES["onnxruntime-fp32"]
        prepared = _prepared(network, onnx_input, size, size, pixels)
        return open_onnx_session(prepared, engine, device, size, onnx_input.batch or len(images)).run(images)

    logits = logits_of(model, answers_of, str(path))
    return OnnxSource(part.name, hashlib.sha256(content).hexdigest(), logits, onnx_input, size, pixels, device)


def _prepared(
    model: onnx.ModelProto, takes: OnnxInput, image_size: int, input_size: int, pixels: Pixels | None
) -> bytes:
    """The file for a session that takes images of this size."""
    as_it_is = takes.takes_bytes and image_size == input_size and takes.batch is None and len(model.graph.output) == 1
    return (
        bytes(model.SerializeToString()) if as_it_is else onnx_with_pixels(model, takes, image_size, input_size, pixels)
    )


def _size(part: SourceOptions, takes: OnnxInput) -> int:
    """The side of the input: the file's own, or the recipe's if the file takes any."""
    if takes.size is None and part.input_size is None:
        raise RecipeError(f"sources.{part.name}.input_size is required: the ONNX file takes images of any size.")
    if takes.size and part.input_size not in (None, takes.size):
        raise RecipeError(
            f"sources.{part.name}.input_size = {part.input_size}, but the ONNX file takes {takes.size}. Leave it out."
        )
    return takes.size or int(part.input_size or 0)


def _pixels(part: SourceOptions, takes: OnnxInput, size: int) -> Pixels | None:
    """The preprocessing that the file lacks."""
    if takes.takes_bytes:
        if part.mean or part.std:
            raise RecipeError(
                f"sources.{part.name}: the ONNX file takes uint8 and normalises by itself. Leave out mean and std."
            )
        return None
    if part.mean is None or part.std is None:
        raise RecipeError(
            f"sources.{part.name}: the ONNX file takes floats and does not say how they are normalised. Set mean and "
            f"std for the range 0 to 1, such as mean = [0.485, 0.456, 0.406] and std = [0.229, 0.224, 0.225]."
        )
    return Pixels(size, part.mean, part.std)

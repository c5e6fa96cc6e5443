"""onnx/<path>: any exported network, run by the runtime's own ONNX Runtime session."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from sskt_edge.data.pixels import Pixels
from sskt_edge.errors import CheckpointError, RecipeError
from sskt_edge.recipe.models import Source as SourcePart
from sskt_edge.runtime.backends.onnxruntime import OnnxRuntimeSession
from sskt_edge.runtime.onnx_wire import refuse_external_data
from sskt_edge.runtime.session import check_images
from sskt_edge.sources.onnx_pixels import OnnxForm, onnx_form, onnx_with_pixels
from sskt_edge.sources.source import answered_classes, identity_of

# A dynamic batch is never split: a batch of another size changes the last bits.
_UNSPLIT = 1 << 20


class OnnxSource:
    """An ONNX network behind the session that it needs for each side of images.

    Args:
        name: what the recipe calls it.
        content: the bytes of the file, without external data.
        model: the same, parsed.
        form: what it takes.
        size: side of its input.
        pixels: mean and std of a network that takes floats; None for one that takes bytes.
        device: where it runs: on CUDA if onnxruntime has it and the device is CUDA, else on the CPU.
    """

    def __init__(
        self,
        name: str,
        content: bytes,
        model: onnx.ModelProto,
        form: OnnxForm,
        size: int,
        pixels: Pixels | None,
        device: torch.device,
    ) -> None:
        self.name, self.input_size = name, size
        self._content, self._model, self._form, self._pixels = content, model, form, pixels
        self._provider = "auto" if device.type == "cuda" else "cpu"
        self._sessions: dict[int, OnnxRuntimeSession] = {}
        self.identity = identity_of(
            architecture="onnx",
            weights=hashlib.sha256(content).hexdigest(),
            input_size=size,
            mean=pixels and pixels.mean,
            std=pixels and pixels.std,
            batchnorm="frozen",
        )
        self.classes = answered_classes(self)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [B,S,S,3] → float32 [B,classes]. A network with a fixed batch gets black images to fill the last one.

        Raises:
            DataError: images of another type or shape.
            NetworkError: ONNX Runtime does not take the network, or fails.
        """
        side = images.shape[1]
        check_images(images, side, side)
        if side not in self._sessions:
            self._sessions[side] = self._open(side)
        lacking = -len(images) % (self._form.batch or 1)
        filled = np.concatenate([images, np.zeros((lacking, side, side, 3), dtype=np.uint8)])
        return self._sessions[side].run(filled)[: len(images)]

    def _open(self, side: int) -> OnnxRuntimeSession:
        form, size, alone = self._form, self.input_size, len(self._model.graph.output) == 1
        as_it_is = form.takes_bytes and side == size and form.batch is None and alone
        content = self._content if as_it_is else onnx_with_pixels(self._model, form, side, size, self._pixels)
        return OnnxRuntimeSession(content, side, side, form.batch or _UNSPLIT, provider=self._provider)


def open_onnx(part: SourcePart, device: torch.device) -> OnnxSource:
    """The network of an ONNX file; one that takes floats needs mean and std in the recipe."""
    if part.batchnorm == "recalibrated":
        raise RecipeError(f"sources.{part.name}.batchnorm: an ONNX file is frozen. Set it to 'frozen'.")
    path = Path(part.model.partition("/")[2])
    if not path.is_file():
        raise CheckpointError(f"No ONNX file '{path}'. Check the path; it is relative to the current folder.")
    content = path.read_bytes()
    refuse_external_data(content, str(path))
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's, by whichever of its implementations
        raise CheckpointError(f"'{path}' is no whole ONNX file: {error}. Fetch it again.") from error
    form = onnx_form(model, str(path))
    size = _size(part, form)
    return OnnxSource(part.name, content, model, form, size, _pixels(part, form, size), device)


def _size(part: SourcePart, form: OnnxForm) -> int:
    """The side of the input: the file's own, or the recipe's where the file takes any."""
    if form.size is None and part.input_size is None:
        raise RecipeError(f"sources.{part.name}.input_size is needed: the ONNX file takes images of any size.")
    if form.size and part.input_size not in (None, form.size):
        raise RecipeError(
            f"sources.{part.name}.input_size = {part.input_size}, but the ONNX file takes {form.size}. Leave it out."
        )
    return form.size or int(part.input_size or 0)


def _pixels(part: SourcePart, form: OnnxForm, size: int) -> Pixels | None:
    """The preprocessing that the file lacks."""
    if form.takes_bytes:
        if part.mean or part.std:
            raise RecipeError(
                f"sources.{part.name}: the ONNX file takes uint8 and normalises by itself. Leave out mean and std."
            )
        return None
    if part.mean is None or part.std is None:
        raise RecipeError(
            f"sources.{part.name}: the ONNX file takes floats and does not say how they are normalised. Give mean and "
            f"std of the 0 to 1 range, such as mean = [0.485, 0.456, 0.406] and std = [0.229, 0.224, 0.225]."
        )
    return Pixels(size, part.mean, part.std)

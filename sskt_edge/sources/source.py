"""A source: a frozen heavy network that is queried for logits and always gives the same answer."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sskt_edge.common.errors import NetworkError
from sskt_edge.common.text import first_line
from sskt_edge.convert.onnx_from_module import onnx_from_module
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.session import Session
from sskt_edge.sources.engines import ENGINES, SourceEngine, checked, engines_here, open_onnx_session
from sskt_edge.sources.torch_session import TorchSession, forward, torch_logits

# The engine fixes the batch of an exported source.
_ANY_BATCH = 1 << 16


Outputs = Literal["logits", "features"]


class Source(Protocol):
    """A frozen network that gives logits for images, or features, which only a probe can read.

    Attributes:
        name: its name in the recipe.
        outputs: what it gives.
        classes: the number of its logits, or of its features.
        input_size: the side of the images that it takes without resizing.
        remark: a remark for the user about the origin of its logits, or "".
        license: the license of its weights, as the library or the package that brings them states it; None if unknown.
    """

    name: str
    outputs: Outputs
    classes: int
    input_size: int
    remark: str
    license: str | None

    @property
    def facts(self) -> Mapping[str, Any]:
        """Its model, weights, input_size, mean, std and batchnorm. Its location and its engine are not included."""

    @property
    def identity(self) -> str:
        """The SHA-256 of its facts, in hex."""

    def engines(self) -> tuple[SourceEngine, ...]:
        """The engines that can run it here; the first is the reference that the others are compared with."""

    def open(
        self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
    ) -> Session:
        """A session that takes uint8 [N,size,size,3] and runs batches of exactly `batch` images; the last is padded.

        An int8 engine needs images [n,size,size,3] to calibrate its file with.
        """


class TorchSource:
    """A torch network with its preprocessing, in eval mode; engines other than torch get it as an ONNX file.

    Args:
        name: its name in the recipe.
        model: the network's public name, such as "torchvision/resnet50"; it is part of the identity.
        network: float [B,3,size,size] → [B,classes]; it is moved to the device and frozen in place.
        pixels: its preprocessing.
        device: the device that torch runs it on.
        outputs: what the network gives. The identity has features, and leaves out logits, which are the usual.
        license: the license of its weights, if it is known.

    Raises:
        NetworkError: the network does not turn images of that size into [B,classes].
    """

    def __init__(
        self,
        name: str,
        model: str,
        network: nn.Module,
        pixels: Pixels,
        device: torch.device,
        outputs: Outputs = "logits",
        license: str | None = None,
    ) -> None:
        self.name, self.input_size, self.remark = name, pixels.size, ""
        self.outputs: Outputs = outputs
        self.license = license
        self.network = network.requires_grad_(False).eval().float()
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pixels = pixels.to(device)
        self.device = device
        self.facts: dict[str, Any] = {
            "model": model,
            "weights": _weights_sha256(network),
            "input_size": pixels.size,
            "mean": list(pixels.mean),
            "std": list(pixels.std),
            "batchnorm": "frozen",
            **({} if outputs == "logits" else {"outputs": outputs}),
        }
        self._exported: dict[tuple[str, int], bytes] = {}
        try:
            black = np.zeros((1, pixels.size, pixels.size, 3), dtype=np.uint8)
            self.classes = torch_logits(network, self.pixels, device, black).shape[1]
        except torch.OutOfMemoryError:
            raise
        except NetworkError as error:
            raise NetworkError(f"Source '{name}': {error}") from error
        except (RuntimeError, ValueError, AssertionError) as error:  # each library refuses a size in its own way
            raise NetworkError(
                f"Source '{name}' does not take images of side {pixels.size}: {first_line(error)}. "
                f"Leave out input_size, or set it to the network's own."
            ) from error

    @property
    def identity(self) -> str:
        """The SHA-256 of the facts, in hex."""
        return identity_of(self.facts)

    def engines(self) -> tuple[SourceEngine, ...]:
        """The engines that can run it here, torch in fp32 first."""
        return engines_here(ENGINES["torch-fp32"], self.device)

    def open(
        self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
    ) -> Session:
        """A session that takes uint8 [N,size,size,3] and runs batches of exactly `batch` images; the last is padded.

        The session has the current BatchNorm statistics; open it again after a recalibration. An int8 engine needs
        images [n,size,size,3] to calibrate its file with.

        Raises:
            NetworkError: the network cannot be exported, or the engine does not support it in its precision.
            MissingExtraError: the engine's library is not installed.
        """
        if engine.backend != "torch" or engine.precision == "int8":
            return open_onnx_session(self.onnx(size), engine, self.device, size, batch, calibration)
        session = TorchSession(self.network, self.pixels, self.device, size, batch, engine.precision)
        return checked(session, engine, self.device)

    def forward(self, images: NDArray[np.uint8]) -> Tensor:
        """uint8 [B,S,S,3] → the network's output, on the device, in fp32."""
        return forward(self.network, self.pixels, self.device, images)

    def onnx(self, size: int) -> bytes:
        """The network in its current state, with its preprocessing, as an ONNX file for images of this size."""
        key = self.identity, size
        if key not in self._exported:
            network, pixels = copy.deepcopy((self.network, self.pixels))
            try:
                self._exported[key] = onnx_from_module(network.cpu(), pixels.cpu(), (size, size, 3), _ANY_BATCH, {})
            except Exception as error:  # the exporter's errors, and whatever the network raises in it
                raise NetworkError(
                    f"Source '{self.name}' cannot be exported to ONNX: {first_line(error)}. "
                    f"Use the engine that needs no export: labels.engine = 'torch'."
                ) from error
        return self._exported[key]


def identity_of(facts: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of facts that JSON can write."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _weights_sha256(network: nn.Module) -> str:
    """The SHA-256, in hex, of the names, types, shapes and bytes of everything in the state dict."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()

"""A source: a frozen heavy network that is asked for logits and never changes its mind."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

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

# The batch of an exported source is the engine's to fix.
_ANY_BATCH = 1 << 16


class Source(Protocol):
    """Something that says what it sees.

    Attributes:
        name: what the recipe calls it.
        classes: how many logits it gives.
        input_size: side of the images that it takes without resizing them.
        remark: what a user should know of how its logits are had, or "".
    """

    name: str
    classes: int
    input_size: int
    remark: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it is: model, weights, input_size, mean, std, batchnorm. Neither its place, nor what runs it."""

    @property
    def identity(self) -> str:
        """SHA-256, in hex, over its facts."""

    def engines(self) -> tuple[SourceEngine, ...]:
        """Those that can run it here; the first is the reference that the others are compared with."""

    def open(self, engine: SourceEngine, size: int, batch: int) -> Session:
        """A session that takes uint8 [N,size,size,3] and runs batches of exactly `batch` images, the last filled up."""


class TorchSource:
    """A torch network with its preprocessing, in eval mode; other engines than torch get it as an ONNX file.

    Args:
        name: what the recipe calls it.
        model: the network's public name, such as "torchvision/resnet50"; a part of the identity.
        network: float [B,3,size,size] → [B,classes]; it is moved to the device and frozen in place.
        pixels: its preprocessing.
        device: where torch runs it.

    Raises:
        NetworkError: the network does not turn images of that size into [B,classes].
    """

    def __init__(self, name: str, model: str, network: nn.Module, pixels: Pixels, device: torch.device) -> None:
        self.name, self.input_size, self.remark = name, pixels.size, ""
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
        }
        self._exported: dict[tuple[str, int], bytes] = {}
        try:
            black = np.zeros((1, pixels.size, pixels.size, 3), dtype=np.uint8)
            self.classes = torch_logits(network, self.pixels, device, black).shape[1]
        except torch.OutOfMemoryError:
            raise
        except NetworkError as error:
            raise NetworkError(f"Source '{name}': {error}") from error
        except (RuntimeError, ValueError, AssertionError) as error:  # each library's way to refuse a size
            raise NetworkError(
                f"Source '{name}' does not take images of side {pixels.size}: {first_line(error)}. "
                f"Leave out input_size, or set it to the network's own."
            ) from error

    @property
    def identity(self) -> str:
        """SHA-256, in hex, over the facts."""
        return identity_of(self.facts)

    def engines(self) -> tuple[SourceEngine, ...]:
        """Those that can run it here, torch in fp32 first."""
        return engines_here(ENGINES["torch-fp32"], self.device)

    def open(self, engine: SourceEngine, size: int, batch: int) -> Session:
        """A session that takes uint8 [N,size,size,3] and runs batches of exactly `batch` images, the last filled up.

        The batch norms' statistics are those of now; a session is opened again after recalibration.

        Raises:
            NetworkError: the network cannot be exported, or the engine does not take it in its precision.
            MissingExtraError: the engine's library is not installed.
        """
        if engine.backend != "torch":
            return open_onnx_session(self.onnx(size), engine, self.device, size, batch)
        session = TorchSession(self.network, self.pixels, self.device, size, batch, engine.precision)
        return checked(session, engine, self.device)

    def forward(self, images: NDArray[np.uint8]) -> Tensor:
        """uint8 [B,S,S,3] → what the network gives, on the device, in fp32."""
        return forward(self.network, self.pixels, self.device, images)

    def onnx(self, size: int) -> bytes:
        """The network as it is now, with its preprocessing, for images of a size."""
        key = self.identity, size
        if key not in self._exported:
            network, pixels = copy.deepcopy((self.network, self.pixels))
            try:
                self._exported[key] = onnx_from_module(network.cpu(), pixels.cpu(), (size, size, 3), _ANY_BATCH, {})
            except Exception as error:  # the exporter's own, and whatever the network meets in it
                raise NetworkError(
                    f"Source '{self.name}' cannot be exported to ONNX: {first_line(error)}. "
                    f"Take the engine that needs no export: labels.engine = 'torch'."
                ) from error
        return self._exported[key]


def identity_of(facts: Mapping[str, Any]) -> str:
    """SHA-256, in hex, over facts that JSON can write."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _weights_sha256(network: nn.Module) -> str:
    """SHA-256, in hex, over the names, types, shapes and bytes of everything in the state dict."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()

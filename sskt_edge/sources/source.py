"""A source: a frozen heavy network that is asked for logits and never changes its mind."""

from __future__ import annotations

import hashlib
import json
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sskt_edge.data.pixels import Pixels
from sskt_edge.errors import NetworkError
from sskt_edge.runtime.session import check_images
from sskt_edge.targets.exact import exact


class Source(Protocol):
    """Something that says what it sees.

    Attributes:
        name: what the recipe calls it.
        classes: how many logits it gives.
        input_size: side of the images that it takes without resizing them.
        identity: SHA-256, in hex, over what it is: weights, network, preprocessing, BatchNorm mode. Not over its place.
    """

    name: str
    classes: int
    input_size: int
    identity: str

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [B,S,S,3] of any side S → float32 [B,classes]."""


class TorchSource:
    """A torch network with its preprocessing, in eval mode and in full fp32 whatever the training around it does.

    Args:
        name: what the recipe calls it.
        architecture: the network's public name, such as "torchvision/resnet50"; a part of the identity.
        network: float [B,3,size,size] → [B,classes]; it is moved to the device and frozen in place.
        pixels: its preprocessing.
        device: where it runs.

    Raises:
        NetworkError: the network does not turn images of that size into [B,classes].
    """

    def __init__(self, name: str, architecture: str, network: nn.Module, pixels: Pixels, device: torch.device) -> None:
        self.name, self.input_size = name, pixels.size
        self.network = network.requires_grad_(False).eval().float()
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pixels = pixels.to(device)
        self.device = device
        self.identity = identity_of(
            architecture=architecture,
            weights=_weights_sha256(network),
            input_size=pixels.size,
            mean=pixels.mean,
            std=pixels.std,
            batchnorm="frozen",
        )
        try:
            self.classes = answered_classes(self)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:  # each library's way to refuse a size
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise NetworkError(
                f"Source '{name}' does not take images of side {pixels.size}: {reason}. "
                f"Leave out input_size, or set it to the network's own."
            ) from error

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [B,S,S,3] → float32 [B,classes].

        Raises:
            DataError: images of another type or shape.
            NetworkError: the network gives anything but [B,classes].
        """
        logits = self.forward(images)
        if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
            got = list(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise NetworkError(f"Source '{self.name}' answers {got}, expected [{len(images)},classes]: no classifier.")
        answer: NDArray[np.float32] = logits.float().cpu().numpy()
        return answer

    def forward(self, images: NDArray[np.uint8]) -> Tensor:
        """uint8 [B,S,S,3] → what the network gives, on the device."""
        check_images(images, images.shape[1], images.shape[1])
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False), exact():
            # A copy, as torch takes neither read-only nor mirrored arrays.
            planes = self.pixels(torch.from_numpy(images.copy()).to(self.device))
            answer: Tensor = self.network(planes.contiguous(memory_format=torch.channels_last))
            return answer


def identity_of(**facts: object) -> str:
    """SHA-256, in hex, over named facts that JSON can write."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def answered_classes(source: Source) -> int:
    """How many logits a source gives, by asking it about one black image of its own size."""
    black = np.zeros((1, source.input_size, source.input_size, 3), dtype=np.uint8)
    return int(source.logits(black).shape[1])


def _weights_sha256(network: nn.Module) -> str:
    """SHA-256, in hex, over the names, types, shapes and bytes of everything in the state dict."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()

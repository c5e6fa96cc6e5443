"""A torch network as a session: uint8 NHWC in, float32 out, as in sessions that run ONNX files."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sskt_edge.common.errors import NetworkError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.session import check_images, run_in_parts
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.exact import exact
from sskt_edge.targets.precision import autocast

# Otherwise the last bits of an image's logits depend on its place in the batch, as MKL splits a matrix among threads.
_MULTIPLE = 16


class TorchSession:
    """A network with its preprocessing, run by eager torch with a fixed batch, in one precision whatever is around it.

    fp32 is full fp32, without TF32; bf16 and fp16 use torch's autocast. The kernels are deterministic. CUDA is
    supported, but no GPU has run this yet.

    Args:
        network: the network, in eval mode, on the device, channels_last.
        pixels: its preprocessing, on the device.
        device: the device that it runs on.
        size: the side of the images.
        max_batch: the exact batch size of every run; rounded up to a multiple of 16.
        precision: the precision of the forward pass.
    """

    backend = "torch"

    def __init__(
        self,
        network: nn.Module,
        pixels: Pixels,
        device: torch.device,
        size: int,
        max_batch: int,
        precision: Precision = "fp32",
    ) -> None:
        self._network, self._pixels, self._device, self._size = network, pixels, device, size
        self.max_batch = -(-max_batch // _MULTIPLE) * _MULTIPLE
        self.provider, self.precision = device.type, str(precision)
        self._autocast: Precision = precision
        self.versions = {"torch": str(torch.__version__)}

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N,size,size,3] → float32 [N,classes].

        Raises:
            DataError: the images have another type or shape.
            NetworkError: the network's output is not [N,classes].
        """
        check_images(images, (self._size, self._size, 3))
        return run_in_parts(self._run, images, self.max_batch, fixed=True)

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return torch_logits(self._network, self._pixels, self._device, images, self._autocast)


def torch_logits(
    network: nn.Module, pixels: Pixels, device: torch.device, images: NDArray[np.uint8], precision: Precision = "fp32"
) -> NDArray[np.float32]:
    """uint8 [B,S,S,3] → float32 [B,classes].

    Raises:
        NetworkError: the network's output is not [B,classes].
    """
    logits = forward(network, pixels, device, images, precision)
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(images):
        got = list(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise NetworkError(f"The network's output is {got}, expected [{len(images)},classes]: it is not a classifier.")
    answer: NDArray[np.float32] = logits.float().cpu().numpy()
    return answer


def forward(
    network: nn.Module, pixels: Pixels, device: torch.device, images: NDArray[np.uint8], precision: Precision = "fp32"
) -> Tensor:
    """uint8 [B,S,S,3] → the network's output, on the device."""
    with torch.inference_mode(), torch.autocast(device.type, enabled=False), autocast(device, precision), exact():
        # The copy is needed, since torch accepts neither read-only nor mirrored arrays.
        planes = pixels(torch.from_numpy(images.copy()).to(device))
        answer: Tensor = network(planes.contiguous(memory_format=torch.channels_last))
        return answer

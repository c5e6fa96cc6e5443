"""Turn the bytes of an image into a network's input: the one place for layout, scale, mean, std and resizing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Pixels(nn.Module):
    """uint8 [B,H,W,3] → float32 [B,3,size,size], normalised: (x / 255 - mean) / std. Clips: [B,T,H,W,3] → [B,3,T,…].

    An input of another size is resized bilinearly (corners not aligned, no antialiasing), as the paper's code upsamples
    a view for its sources. The module becomes part of the exported graph, so no caller can get this wrong.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, size: int, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.size = size
        self.mean, self.std = tuple(mean), tuple(std)
        wide_mean = torch.tensor(self.mean, dtype=torch.float64)
        wide_std = torch.tensor(self.std, dtype=torch.float64)
        self.register_buffer("scale", (1 / (255 * wide_std)).float().reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", (-wide_mean / wide_std).float().reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B,H,W,3] → float32 [B,3,size,size]; [B,T,H,W,3] → [B,3,T,size,size]."""
        channels_first = 0, images.dim() - 1, *range(1, images.dim() - 1)
        if images.shape[-3:-1] == (self.size, self.size) and not torch.compiler.is_compiling():
            return self._rows(images).permute(channels_first)
        # Cast first: TensorRT refuses to transpose uint8.
        planes = images.to(torch.float32).permute(channels_first)
        if planes.shape[-2:] != (self.size, self.size):
            # Trilinear resizing does not change the frames, because their number stays the same.
            shape, mode = (*planes.shape[2:-2], self.size, self.size), "bilinear" if planes.dim() == 4 else "trilinear"
            planes = F.interpolate(planes, size=shape, mode=mode, align_corners=False)
        return planes * self._of_channels(self.scale, planes) + self._of_channels(self.shift, planes)

    def _of_channels(self, values: Tensor, planes: Tensor) -> Tensor:
        """[1,3,1,1], with one more dimension for the frames of clips."""
        return values if planes.dim() == values.dim() else values.unsqueeze(2)

    def _rows(self, images: Tensor) -> Tensor:
        """The same result to the bit, in place and by rows of 3·W numbers, several times as fast. Any [B,…,W,3]."""
        rows = images.to(torch.float32, copy=True).flatten(-2)
        rows *= self.scale.flatten().repeat(self.size)
        rows += self.shift.flatten().repeat(self.size)
        return rows.reshape(images.shape)

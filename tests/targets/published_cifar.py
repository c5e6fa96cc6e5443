"""The published CIFAR ResNets as their paper and their public weights describe them, written apart from ours."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor


def published_logits(weights: dict[str, Tensor], images: Tensor, depth: int) -> Tensor:
    """[B,3,S,S] → [B,classes], in eval mode, straight from a state dict of the published names.

    He et al., section 4.2: 6n + 2 layers. Option A: every second pixel of the input, its channels between zeros.
    """

    def convolve(features: Tensor, number: str, stride: int = 1) -> Tensor:
        name, norm = f"{number}weight", number.replace("conv", "bn")
        convolved = F.conv2d(features, weights[name], stride=stride, padding=1)
        mean, variance = weights[f"{norm}running_mean"], weights[f"{norm}running_var"]
        scaled = (convolved - mean[:, None, None]) / torch.sqrt(variance + 1e-5)[:, None, None]
        return scaled * weights[f"{norm}weight"][:, None, None] + weights[f"{norm}bias"][:, None, None]

    features = F.relu(convolve(images, "conv1."))
    for stage in (1, 2, 3):
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 1 and block == 0 else 1
            shortcut = features
            if stride == 2:
                picked = features[:, :, ::2, ::2]
                zeros = torch.zeros(len(picked), picked.shape[1] // 2, *picked.shape[2:])
                shortcut = torch.cat([zeros, picked, zeros], dim=1)
            inner = F.relu(convolve(features, f"layer{stage}.{block}.conv1.", stride))
            features = F.relu(convolve(inner, f"layer{stage}.{block}.conv2.") + shortcut)
    return F.linear(features.mean(dim=(2, 3)), weights["linear.weight"], weights["linear.bias"])


def published_file(weights: dict[str, Tensor], path: Path) -> Path:
    """A file of the published form: torch's format before zip files, DataParallel's names, and the accuracy."""
    tree = {"state_dict": {f"module.{key}": value for key, value in weights.items()}, "best_prec1": 91.5}
    torch.save(tree, path, _use_new_zipfile_serialization=False)
    return path

"""Branches: from the target's stages to a source's logits. Section 3.1 and figure 3; supplement, figure 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sskt_edge.methods.sskt.folding import Stage, normalised

Combine = Literal["sum", "mean"]


class TransferModule(nn.Module):
    """A bottleneck with pooling on every stage, their sum or mean, and one linear layer to the source's classes.

    {stage: [B,channels,h,w]} → logits [B,classes].
    """

    def __init__(self, stages: Mapping[str, int], width: int, classes: int, combine: Combine) -> None:
        super().__init__()
        self._stages = tuple(stages)
        self._combine = combine
        self.bottlenecks = nn.ModuleList(Bottleneck(channels, width) for channels in stages.values())
        self.linear = nn.Linear(width, classes)

    def forward(self, stages: Mapping[str, Stage], _: Tensor) -> Tensor:
        """{stage: [B,channels,h,w]}, the pooled last feature (not used) → [B,classes]."""
        encoded = torch.stack(
            [bottleneck(stages[name]) for name, bottleneck in zip(self._stages, self.bottlenecks, strict=True)]
        )
        logits: Tensor = self.linear(encoded.sum(dim=0) if self._combine == "sum" else encoded.mean(dim=0))
        return logits


class LinearBranch(nn.Module):
    """The branch without a transfer module: one linear layer on the pooled last feature [B,features] → [B,classes]."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, _: Mapping[str, Stage], pooled: Tensor) -> Tensor:
        """The stages (not used), the pooled last feature [B,features] → [B,classes]."""
        logits: Tensor = self.linear(pooled)
        return logits


class Bottleneck(nn.Module):
    """1×1, 3×3 with stride 2 and 1×1 convolutions, each with BatchNorm and ReLU; then the mean of ⌈h/2⌉ × ⌈w/2⌉ pixels.

    [B,channels,h,w] → [B,width].
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        middle = width // 2
        self.reduce = nn.Conv2d(channels, middle, 1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(middle)
        self.halve = nn.Conv2d(middle, middle, 3, stride=2, padding=1, bias=False)
        self.halve_norm = nn.BatchNorm2d(middle)
        self.widen = nn.Conv2d(middle, width, 1, bias=False)
        self.widen_norm = nn.BatchNorm2d(width)

    def forward(self, stage: Stage) -> Tensor:
        """[B,channels,h,w] → [B,width]."""
        features = F.relu(normalised(stage, self.reduce, self.reduce_norm), inplace=True)
        features = F.relu(self.halve_norm(self.halve(features)), inplace=True)
        features = F.relu(self.widen_norm(self.widen(features)), inplace=True)
        # `sum` instead of `mean`: the gradient of `mean` is expanded and copied, that of `sum` is a view.
        return features.sum(dim=(2, 3)) / features[0, 0].numel()

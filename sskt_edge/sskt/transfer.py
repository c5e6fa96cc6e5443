"""Branches: from the target's stages to a source's logits. Section 3.1 and figure 3; supplement, figure 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Combine = Literal["sum", "mean"]


class TransferModule(nn.Module):
    """A bottleneck on every stage, pooled; the results combined; one linear layer to the source's classes.

    {stage: [B,channels,h,w]} → logits [B,classes].
    """

    def __init__(self, stages: Mapping[str, int], width: int, classes: int, combine: Combine) -> None:
        super().__init__()
        self._stages = tuple(stages)
        self._combine = combine
        self.bottlenecks = nn.ModuleList(_bottleneck(channels, width) for channels in stages.values())
        self.linear = nn.Linear(width, classes)

    def forward(self, stages: Mapping[str, Tensor], _: Tensor) -> Tensor:
        """{stage: [B,channels,h,w]}, the pooled last feature (not used) → [B,classes]."""
        encoded = [
            bottleneck(stages[name]).mean(dim=(2, 3))
            for name, bottleneck in zip(self._stages, self.bottlenecks, strict=True)
        ]
        stacked = torch.stack(encoded)
        logits: Tensor = self.linear(stacked.sum(dim=0) if self._combine == "sum" else stacked.mean(dim=0))
        return logits


class LinearBranch(nn.Module):
    """Without transfer module: one linear layer on the pooled last feature. [B,features] → logits [B,classes]."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, _: Mapping[str, Tensor], pooled: Tensor) -> Tensor:
        """The stages (not used), the pooled last feature [B,features] → [B,classes]."""
        logits: Tensor = self.linear(pooled)
        return logits


def _bottleneck(channels: int, width: int) -> nn.Sequential:
    """1×1, 3×3 of stride 2, 1×1, each with BatchNorm and ReLU; [B,channels,h,w] → [B,width,⌈h/2⌉,⌈w/2⌉]."""
    middle = width // 2
    return nn.Sequential(
        nn.Conv2d(channels, middle, 1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, middle, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )

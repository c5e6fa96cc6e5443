"""ResNets for small images: He et al., "Deep Residual Learning for Image Recognition", section 4.2 and option A."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from sskt_edge.targets.spec import TargetSpec


class CifarResNet(nn.Module):
    """3×3 stem, three stages of n basic blocks with 16, 32, 64 channels, pooling, one linear layer: 6n + 2 layers.

    [B,3,S,S] → logits [B,classes].
    Parameters with 10 classes: 0.27 M (20 layers), 0.46 M (32), 0.66 M (44), 0.85 M (56).
    """

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,S,S] → [B,classes]."""
        features = F.relu(self.bn1(self.conv1(images)), inplace=True)
        features = self.layer3(self.layer2(self.layer1(features)))
        # `mean` is not used here: its gradient has another memory layout, which makes every pass over it slow.
        logits: Tensor = self.fc(F.avg_pool2d(features, features.shape[-2:]).flatten(1))
        return logits


class _BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut that has no parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more_channels = stride, outputs - inputs

    def forward(self, features: Tensor) -> Tensor:
        """[B,C,S,S] → [B,outputs,S/stride,S/stride]."""
        residual = F.relu(self.bn1(self.conv1(features)), inplace=True)
        return F.relu(self.bn2(self.conv2(residual)) + self._shortcut(features), inplace=True)

    def _shortcut(self, features: Tensor) -> Tensor:
        """Option A: take every stride-th pixel and fill the new channels with zeros.

        A pooling with a 1 × 1 window picks the pixels. Its gradient keeps the memory layout; that of a slice does not.
        """
        if self.stride == 1:
            return features
        half = self.more_channels // 2
        picked = F.avg_pool2d(features, 1, self.stride)
        return F.pad(picked, (0, 0, 0, 0, half, self.more_channels - half))


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = _BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(_BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


def resnet20() -> TargetSpec:
    """20 layers; the stages of this and the next three are their three groups of blocks."""
    return _spec(20)


def resnet32() -> TargetSpec:
    """32 layers."""
    return _spec(32)


def resnet44() -> TargetSpec:
    """44 layers."""
    return _spec(44)


def resnet56() -> TargetSpec:
    """56 layers."""
    return _spec(56)


def _spec(depth: int) -> TargetSpec:
    # The widths of the published code are out = 64, as in the last stage, and middle = 32.
    stages = {"layer1": 16, "layer2": 32, "layer3": 64}
    return TargetSpec(partial(CifarResNet, depth), stages, "fc", "fc", transfer_width=64)

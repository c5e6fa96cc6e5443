"""A target of two convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from sskt_edge.targets.spec import TargetSpec


class Dots(nn.Module):
    """[B,3,S,S] → logits [B,classes]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ReLU())
        self.fc = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.high(self.low(images))
        logits: Tensor = self.fc(features.mean(dim=(2, 3)))
        return logits


def dots() -> TargetSpec:
    return TargetSpec(Dots, {"low": 4, "high": 8}, "fc", "fc", transfer_width=8)

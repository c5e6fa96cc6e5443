"""What sskt-edge needs to know about a target network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import NetworkError
from sskt_edge.targets.pretrained import PretrainedWeights


@dataclass(frozen=True)
class TargetSpec:
    """A target, with the stages that branches may be attached to.

    Attributes:
        build: number of classes → the network, freshly initialised.
        stages: module path → channels of its output, in order from the image to the logits.
        head: the path of the module whose input is the pooled last feature [B, features].
        last_layer: the path of the linear layer that gives the logits.
        transfer_width: the output channels of a transfer module's bottlenecks; their middle has half as many.
        branches_fan_out: whether the convolutions of its branches are initialised as in the published code for
            ResNet18, 34 and 50, normal with fan-out scaling (He et al., 2015), instead of with torch's default.
        weights: its pretrained weights; None if there are none.
    """

    build: Callable[[int], nn.Module]
    stages: dict[str, int]
    head: str
    last_layer: str
    transfer_width: int
    branches_fan_out: bool = False
    weights: PretrainedWeights | None = None


def target_spec(name: str) -> TargetSpec:
    """The spec of a target by its name in the catalogue."""
    spec: TargetSpec = TARGETS[name].load()()
    return spec


def pretrained_weights(name: str) -> PretrainedWeights:
    """The pretrained weights of a target.

    Raises:
        NetworkError: there are none.
    """
    weights = target_spec(name).weights
    if weights is None:
        raise NetworkError(f"'{name}' has no published weights; use checkpoint = FILE.")
    return weights


def check_size(model: str, image_size: int) -> None:
    """Refuse an image size that the target cannot take.

    Raises:
        NetworkError: the size is below the target's minimum.
    """
    smallest = TARGETS[model].smallest
    if image_size < smallest:
        fits = [name for name, entry in TARGETS.items() if entry.smallest <= image_size]
        instead = f", or take one of: {', '.join(fits)}" if fits else ""
        raise NetworkError(
            f"data.image_size = {image_size}: {model} needs images of at least {smallest} pixels. "
            f"Raise data.image_size{instead}."
        )

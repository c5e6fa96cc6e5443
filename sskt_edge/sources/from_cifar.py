"""cifar/<name>: a ResNet for 32 × 32 images with weights from a file, such as the published ones for CIFAR."""

from __future__ import annotations

import torch

from sskt_edge.common.errors import NetworkError
from sskt_edge.data.inputs.pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.checkpoint import network_from_checkpoint
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.spec import target_spec

_SIZE = 32


def open_cifar(part: SourceOptions, device: torch.device) -> TorchSource:
    """A CIFAR ResNet of 20, 32, 44 or 56 layers.

    The weights of github.com/akamaster/pytorch_resnet_cifar10 were trained with ImageNet's mean and std, which are the
    defaults here. For weights that were trained with CIFAR's own, set mean and std.
    """
    if part.checkpoint is None:
        raise NetworkError(f"sources.{part.name}: {part.model} needs weights from a file. Set checkpoint = FILE.")
    network = network_from_checkpoint(part, part.checkpoint, target_spec(part.model.partition("/")[2]).build)
    pixels = Pixels(part.input_size or _SIZE, part.mean or IMAGENET_MEAN, part.std or IMAGENET_STD)
    return TorchSource(part.name, part.model, network, pixels, device)

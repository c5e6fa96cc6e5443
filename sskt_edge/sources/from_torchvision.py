"""torchvision/<name>: a network of torchvision, with published weights or with weights from a file."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision import models

from sskt_edge.common.errors import NetworkError, RecipeError, nearest
from sskt_edge.data.inputs.pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.checkpoint import network_from_checkpoint
from sskt_edge.sources.class_layer import drop_class_layer, without_layers
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.published_weights import fetch_torchvision, torchvision_weights
from sskt_edge.targets.weights import load_weights, read_weights

_USUAL_SIZE = 224
# Their published weights expect the input to be scaled inside the network, which their files do not say.
_NOT_FROM_FILES = ("googlenet", "inception_v3")


def open_torchvision(part: SourceOptions, device: torch.device) -> TorchSource:
    """A network of torchvision. Published weights have their own size, mean and std; a file gets 224 and ImageNet's."""
    name = part.model.partition("/")[2]
    known = models.list_models(module=models)
    if name not in known:
        raise NetworkError(
            f"sources.{part.name}.model: torchvision has no image classifier '{name}'. {nearest(name, known)}"
            f"Known: {', '.join(known)}."
        )
    if part.weights and part.checkpoint:
        raise RecipeError(f"sources.{part.name}: weights and checkpoint exclude each other; leave one out.")
    license_ = None
    if part.weights:
        published = torchvision_weights(name, part.weights)
        network = fetch_torchvision(name, published)
        if part.outputs == "features":
            drop_class_layer(network, f"sources.{part.name}")
        own = published.transforms()
        size, mean, std = own.crop_size[0], own.mean, own.std
        license_ = published.meta.get("license")
    elif part.checkpoint:
        if name in _NOT_FROM_FILES:
            raise NetworkError(
                f"sources.{part.name}.checkpoint: {name} runs with published weights only. Set weights = … instead."
            )
        if part.outputs == "features":
            network = models.get_model(name)
            layer = drop_class_layer(network, f"sources.{part.name}")
            load_weights(network, without_layers(read_weights(Path(part.checkpoint)), [layer]), part.checkpoint)
        else:
            network = network_from_checkpoint(
                part, part.checkpoint, lambda classes: models.get_model(name, num_classes=classes)
            )
        size, mean, std = _USUAL_SIZE, IMAGENET_MEAN, IMAGENET_STD
    else:
        have = ", ".join(models.get_model_weights(name).__members__)
        raise NetworkError(
            f"sources.{part.name}: {part.model} has no weights, and an untrained network cannot be a source. "
            f"Set checkpoint = FILE, or weights = one of: {have or 'none published'}."
        )
    pixels = Pixels(part.input_size or size, part.mean or mean, part.std or std)
    return TorchSource(part.name, part.model, network, pixels, device, part.outputs, license_)

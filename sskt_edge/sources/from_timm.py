"""timm/<name>: a network of timm, with published weights or with weights from a file."""

from __future__ import annotations

import torch

from sskt_edge.common.errors import NetworkError, nearest
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.checkpoint import network_from_checkpoint
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.timm_weights import fetch_timm


def open_timm(part: SourceOptions, device: torch.device) -> TorchSource:
    """A network of timm, with timm's size, mean and std for it."""
    import timm  # takes a second, and only timm's sources need it
    from timm.data.config import resolve_model_data_config

    name = part.model.partition("/")[2]
    architectures, published = timm.list_models(), timm.list_pretrained()
    if name not in architectures and name not in published:
        known = [*architectures, *published]
        raise NetworkError(
            f"sources.{part.name}.model: timm {timm.__version__} has no network '{name}'. {nearest(name, known)}"
            f"All: timm.list_models() and timm.list_pretrained()."
        )
    if part.checkpoint:
        network = network_from_checkpoint(
            part, part.checkpoint, lambda classes: timm.create_model(name, num_classes=classes)
        )
    elif timm.models.is_model_pretrained(name):
        network = fetch_timm(name)
    else:
        raise NetworkError(
            f"sources.{part.name}: timm has no published weights of '{name}', and an untrained network cannot be a "
            f"source. Set checkpoint = FILE."
        )
    own = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    _, height, width = own["input_size"]
    if height != width:
        raise NetworkError(f"sources.{part.name}: {name} takes {height}×{width} images, but sources take square ones.")
    pixels = Pixels(part.input_size or height, part.mean or own["mean"], part.std or own["std"])
    return TorchSource(part.name, part.model, network, pixels, device)

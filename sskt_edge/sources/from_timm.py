"""timm/<name>: a network of timm, with published weights or with weights from a file."""

from __future__ import annotations

import pickle

import torch
from torch import nn

from sskt_edge.common.errors import CheckpointError, DownloadError, NetworkError, nearest
from sskt_edge.common.text import first_line
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.checkpoint import network_from_checkpoint
from sskt_edge.sources.source import TorchSource


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
        network = _fetch(name)
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


def _fetch(name: str) -> nn.Module:
    """A network of timm with published weights, from the local cache or the network."""
    import timm

    try:
        network: nn.Module = timm.create_model(name, pretrained=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"The cached file of timm's '{name}' was not opened: it is not a plain weights file. "
            f"Remove it from the cache."
        ) from error
    except Exception as error:  # the hub's client and its HTTP library share no base class
        raise DownloadError(
            f"timm's weights of '{name}' are not on this machine and could not be fetched: {first_line(error)} "
            f"Check the connection, or fetch the weights elsewhere and name them as checkpoint = FILE in the recipe."
        ) from error
    return network

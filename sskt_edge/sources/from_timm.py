"""timm/<name>: a network of timm, with published weights or with weights from a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sskt_edge.common.errors import NetworkError, nearest
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.checkpoint import network_from_checkpoint
from sskt_edge.sources.class_layer import without_layers
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.timm_weights import fetch_timm
from sskt_edge.targets.weights import load_weights, read_weights


def open_timm(part: SourceOptions, device: torch.device) -> TorchSource:
    """A network of timm, with timm's size, mean and std for it.

    A network whose position embeddings belong to one size, such as DINOv2's, has them resampled for another input_size.
    """
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
        network = _from_checkpoint(part, name, part.checkpoint)
    elif timm.models.is_model_pretrained(name):
        network = fetch_timm(name)
    else:
        raise NetworkError(
            f"sources.{part.name}: timm has no published weights of '{name}', and an untrained network cannot be a "
            f"source. Set checkpoint = FILE."
        )
    if part.outputs == "features":
        network.reset_classifier(0)  # type: ignore[operator]
    elif getattr(network, "num_classes", None) == 0:
        raise NetworkError(
            f"sources.{part.name}: timm's '{name}' has no class layer, only features. Set outputs = 'features', and "
            f"method.name = 'probe'."
        )
    own = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    _, height, width = own["input_size"]
    if height != width:
        raise NetworkError(f"sources.{part.name}: {name} takes {height}×{width} images, but sources take square ones.")
    if part.input_size not in (None, height) and hasattr(network, "set_input_size"):
        network.set_input_size((part.input_size, part.input_size))  # type: ignore[operator]
    pixels = Pixels(part.input_size or height, part.mean or own["mean"], part.std or own["std"])
    # What timm states of its own weights says nothing of a file's.
    license_ = None if part.checkpoint else _facts(network).get("license")
    return TorchSource(part.name, part.model, network, pixels, device, part.outputs, license_)


def _from_checkpoint(part: SourceOptions, name: str, checkpoint: str) -> nn.Module:
    """The network with the weights of a file; for features, the file's class layer is left out, if it has one."""
    import timm

    if part.outputs == "logits":
        return network_from_checkpoint(part, checkpoint, lambda classes: timm.create_model(name, num_classes=classes))
    network: nn.Module = timm.create_model(name, num_classes=0)
    named = _facts(network).get("classifier") or ()
    layers = [named] if isinstance(named, str) else named
    weights = without_layers(read_weights(Path(checkpoint)), layers)
    if weights.keys() != network.state_dict().keys():
        weights = without_layers(_timms_names(network, weights), layers)
    load_weights(network, weights, checkpoint)
    return network


def _facts(network: nn.Module) -> dict[str, Any]:
    """What timm knows of a network's published weights."""
    return dict(getattr(network, "pretrained_cfg", {}))


def _timms_names(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in their authors' own names, such as DINOv2's, in timm's; by timm's own rules for the network.

    Weights that the rules are not made for stay as they are.
    """
    rules = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if rules is None:
        return weights
    try:
        return dict(rules(weights, network))
    except Exception:  # whatever a network's rules stumble over in another network's file
        return weights

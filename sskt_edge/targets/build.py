"""Build the target of a recipe: newly initialised, or from pretrained weights with a new last layer."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision import models

from sskt_edge.common.errors import CheckpointError, DownloadError, NetworkError, nearest
from sskt_edge.common.text import first_line
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.spec import TargetSpec, target_spec
from sskt_edge.targets.weights import load_weights, named_as, no_pickles, read_weights


def build_target(target: TargetOptions, classes: int, seed: int) -> nn.Module:
    """The primary network, initialised from `seed`, or from the weights that the recipe names.

    The last layer is new, unless the recipe keeps the last layer of a checkpoint.

    Raises:
        CheckpointError: the weights do not fit.
        DownloadError: published weights could not be fetched.
        NetworkError: there are no published weights of that name.
    """
    spec = target_spec(target.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = spec.build(classes)
    if target.checkpoint:
        state = named_as(network, read_weights(Path(target.checkpoint)))
        if target.last_layer == "kept":
            _refuse_other_classes(state, spec, classes, target.checkpoint)
            load_weights(network, state, target.checkpoint)
        else:
            _load_but_last(network, spec, state, target.checkpoint)
    elif target.weights:
        published = fetch_torchvision(target.model, torchvision_weights(target.model, target.weights))
        _load_but_last(network, spec, published.state_dict(), target.weights)
    return network


def torchvision_weights(name: str, weights: str) -> models.WeightsEnum:
    """The published weights `weights` of torchvision's network `name`, not yet fetched.

    Raises:
        NetworkError: torchvision has no weights of that name.
    """
    try:
        known = models.get_model_weights(name)
    except ValueError:
        raise NetworkError(f"'{name}' has no published weights in torchvision; use checkpoint = FILE.") from None
    if weights not in known.__members__:
        raise NetworkError(
            f"torchvision has no weights '{weights}' of {name}. {nearest(weights, known.__members__)}"
            f"Known: {', '.join(known.__members__) or 'none'}."
        )
    found: models.WeightsEnum = known[weights]
    return found


def fetch_torchvision(name: str, weights: models.WeightsEnum) -> nn.Module:
    """Torchvision's network `name` with published weights, from the local cache or the network.

    A downloaded file is checked against its hash. A cached file is not, but it cannot run code.

    Raises:
        CheckpointError: the cached file is not a plain weights file.
        DownloadError: they are not cached and could not be fetched.
    """
    try:
        with no_pickles():
            network: nn.Module = models.get_model(name, weights=weights)
    except (URLError, OSError, RuntimeError) as error:
        if "loading state_dict" in str(error):
            raise CheckpointError(
                f"The cached file of {weights} in '{torch.hub.get_dir()}' holds another network's weights. "
                f"Remove it; it is then fetched again."
            ) from error
        why = first_line(error)
        where = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise DownloadError(
            f"The weights {weights} are not on this machine and could not be fetched from {weights.url}: {why}. "
            f"Fetch the file elsewhere and put it at '{where}', or name it as checkpoint = FILE in the recipe."
        ) from error
    return network


def _refuse_other_classes(state: dict[str, Tensor], spec: TargetSpec, classes: int, where: str) -> None:
    found = state.get(f"{spec.last_layer}.weight")
    if found is not None and len(found) != classes:
        raise CheckpointError(
            f"The last layer of '{where}' has {len(found)} classes, but the data have {classes}. "
            f"Set target.last_layer = 'new' to train a new one."
        )


def _load_but_last(network: nn.Module, spec: TargetSpec, state: dict[str, Tensor], where: str) -> None:
    """Load everything but the last layer, which stays as it was initialised."""
    own = network.state_dict()
    last = (f"{spec.last_layer}.weight", f"{spec.last_layer}.bias")
    load_weights(network, {**state, **{key: own[key] for key in last}}, where)

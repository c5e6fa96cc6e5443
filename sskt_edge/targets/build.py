"""Build the target of a recipe: newly initialised, or from pretrained weights with a new last layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sskt_edge.common.errors import CheckpointError, RecipeError
from sskt_edge.recipe.models import TargetOptions
from sskt_edge.targets.pretrained import Normalisation
from sskt_edge.targets.spec import TargetSpec, pretrained_weights, target_spec
from sskt_edge.targets.weights import load_weights, named_as, read_weights


def build_target(target: TargetOptions, classes: int, seed: int) -> nn.Module:
    """The primary network, initialised from `seed`, or from the weights that the recipe names.

    The last layer is new, unless the recipe keeps the last layer of a checkpoint.

    Raises:
        CheckpointError: the weights do not fit.
        DownloadError: published weights could not be fetched.
        MissingExtraError: the package that contains the weights is not installed.
        NetworkError: no published weights have that name.
        RecipeError: the recipe leaves out the mean and std of the weights that it names, and the defaults are others.
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
        pretrained = pretrained_weights(target.model)
        with torch.random.fork_rng(devices=[]):  # the libraries initialise a network before they load its weights
            state = pretrained.read(target.weights)
        _refuse_other_normalisation(target, pretrained.normalisation(target.weights))
        _load_but_last(network, spec, state, target.weights)
    return network


def _refuse_other_normalisation(target: TargetOptions, own: Normalisation) -> None:
    """Refuse defaults that the weights were not trained with; what the recipe itself says is taken as it is."""
    here = (*target.mean, *target.std)
    if {"mean", "std"} & target.model_fields_set or np.allclose(here, (*own.mean, *own.std), atol=1e-3):
        return
    mean, std = ([round(value, 6) for value in values] for values in own)
    raise RecipeError(
        f"target.weights = '{target.weights}' of {target.model} was trained with target.mean = {mean} and "
        f"target.std = {std}, and the recipe leaves both at ImageNet's. Set them."
    )


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

"""Build the learner of a recipe: its target with the parts that its method attaches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.data.inputs.input import input_of
from sskt_edge.methods.learner import Learner, TaughtBy
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.models import Recipe, TargetOptions, TrainOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import target_spec
from sskt_edge.training.inputs import Inputs

_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def build_learner(
    target: TargetOptions, method: MethodOptions, sources: Mapping[str, TaughtBy], classes: int, seed: int
) -> Learner:
    """Build the learner. Everything in it that is not read from a file is initialised from `seed`.

    Args:
        target: the recipe's [target].
        method: the recipe's [method].
        sources: name → source, for the sources that take part.
        classes: the number of classes.
        seed: the seed of the training.

    Raises:
        CheckpointError, DownloadError, NetworkError: as for build_target.
    """
    primary = build_target(target, classes, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner: Learner = METHODS[method.name].load()(method, primary, target_spec(target.model), sources)
    return learner


def learner_of(recipe: Recipe, inputs: Inputs, device: torch.device) -> Learner:
    """The learner of a recipe, on its device in the recipe's memory layout.

    Raises:
        InputError: as for build_learner.
    """
    alphas = {part.name: part.alpha for part in recipe.active_sources}
    sources = {source.name: TaughtBy(source.classes, alphas[source.name]) for source in inputs.sources}
    learner = build_learner(recipe.target, recipe.method, sources, len(inputs.reader.classes), recipe.train.seed)
    return placed(learner, recipe.train, device)


def placed(learner: Learner, train: TrainOptions, device: torch.device) -> Learner:
    """Move the learner to its device, in the recipe's memory layout."""
    learner.to(device=device)
    for tensor in (*learner.parameters(), *learner.buffers()):
        if tensor.dim() in _LAYOUTS:
            tensor.data = tensor.data.to(memory_format=layout(train, tensor.dim()))
    return learner


def layout(train: TrainOptions, dimensions: int) -> torch.memory_format:
    """The memory layout of items and weights with four dimensions, or with five for 3D convolutions."""
    return _LAYOUTS[dimensions] if train.channels_last else torch.contiguous_format


def blank_item(recipe: Recipe) -> Tensor:
    """Zeros in the shape of one item of the target's input: float32 [1,3,S,S] for an image."""
    shown, size = input_of(recipe.data.name), recipe.data.image_size
    pixels = shown.preprocess(size, recipe.target.mean, recipe.target.std)
    return torch.zeros_like(pixels(torch.zeros(1, *shown.shape(size), dtype=torch.uint8)))

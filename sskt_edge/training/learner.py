"""What a recipe trains: its target, with what its method hangs on it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.methods.learner import Learner, TaughtBy
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.models import Recipe, TargetOptions, TrainOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import target_spec
from sskt_edge.training.inputs import Inputs


def build_learner(
    target: TargetOptions, method: MethodOptions, sources: Mapping[str, TaughtBy], classes: int, seed: int
) -> Learner:
    """The learner, everything in it that is not read from a file initialised from `seed`.

    Args:
        target: the recipe's [target].
        method: the recipe's [method].
        sources: the sources that take part, by their names.
        classes: of the task.
        seed: of the training.

    Raises:
        CheckpointError, DownloadError, NetworkError: as build_target.
    """
    primary = build_target(target, classes, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner: Learner = METHODS[method.name].load()(method, primary, target_spec(target.model), sources)
    return learner


def learner_of(recipe: Recipe, inputs: Inputs, device: torch.device) -> Learner:
    """What a recipe trains, on its device in the recipe's layout.

    Raises:
        InputError: as build_learner.
    """
    alphas = {part.name: part.alpha for part in recipe.active_sources}
    sources = {source.name: TaughtBy(source.classes, alphas[source.name]) for source in inputs.sources}
    learner = build_learner(recipe.target, recipe.method, sources, len(inputs.reader.classes), recipe.train.seed)
    return placed(learner, recipe.train, device)


def placed(learner: Learner, train: TrainOptions, device: torch.device) -> Learner:
    """The learner, on its device in the recipe's layout."""
    learner.to(device=device, memory_format=layout(train))  # type: ignore[call-overload]
    return learner


def layout(train: TrainOptions) -> torch.memory_format:
    """How images and weights lie in memory."""
    return torch.channels_last if train.channels_last else torch.contiguous_format

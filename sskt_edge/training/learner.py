"""What is trained: a target, with what its method adds to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sskt_edge.catalogue.methods import METHODS
from sskt_edge.methods.learner import Learner, TaughtBy
from sskt_edge.recipe.method import MethodOptions
from sskt_edge.recipe.models import TargetOptions, TrainOptions
from sskt_edge.targets.build import build_target
from sskt_edge.targets.spec import target_spec

_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def build_learner(
    target: TargetOptions,
    method: MethodOptions,
    sources: Mapping[str, TaughtBy],
    classes: int,
    train: TrainOptions,
    device: torch.device,
) -> Learner:
    """The learner, on its device. What is not read from a file is initialised from the training's seed.

    Args:
        target: the recipe's [target].
        method: the recipe's [method].
        sources: the sources that take part, by their names.
        classes: of the task.
        train: the recipe's [train]: the seed and the memory layout.
        device: where it is trained.

    Raises:
        CheckpointError, DownloadError, NetworkError: as build_target.
    """
    primary = build_target(target, classes, train.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)
        learner: Learner = METHODS[method.name].load()(method, primary, target_spec(target.model), sources)
    return placed(learner, train, device)


def placed(learner: Learner, train: TrainOptions, device: torch.device) -> Learner:
    """The same learner, on its device in the training's memory layout."""
    learner.to(device=device)
    for tensor in (*learner.parameters(), *learner.buffers()):
        if tensor.dim() in _LAYOUTS:
            tensor.data = tensor.data.to(memory_format=layout(train, tensor.dim()))
    return learner


def layout(train: TrainOptions, dimensions: int) -> torch.memory_format:
    """How items and weights lie in memory: those of four dimensions, or of five for 3D convolutions."""
    return _LAYOUTS[dimensions] if train.channels_last else torch.contiguous_format

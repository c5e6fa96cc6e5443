"""Build the learner: a target with the parts that its method attaches."""

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
    """Build the learner on its device. Everything in it that is not read from a file is initialised from the seed.

    Args:
        target: the recipe's [target].
        method: the recipe's [method].
        sources: name → source, for the sources that take part.
        classes: the number of classes.
        train: the recipe's [train], which has the seed and the memory layout.
        device: the device to train on.

    Raises:
        CheckpointError, DownloadError, NetworkError: as for build_target.
    """
    primary = build_target(target, classes, train.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)
        learner: Learner = METHODS[method.name].load()(method, primary, target_spec(target.model), sources)
    return placed(learner, train, device)


def placed(learner: Learner, train: TrainOptions, device: torch.device) -> Learner:
    """Move the learner to its device, in the training's memory layout."""
    learner.to(device=device)
    for tensor in (*learner.parameters(), *learner.buffers()):
        if tensor.dim() in _LAYOUTS:
            tensor.data = tensor.data.to(memory_format=layout(train, tensor.dim()))
    return learner


def layout(train: TrainOptions, dimensions: int) -> torch.memory_format:
    """The memory layout of items and weights with four dimensions, or with five for 3D convolutions."""
    return _LAYOUTS[dimensions] if train.channels_last else torch.contiguous_format

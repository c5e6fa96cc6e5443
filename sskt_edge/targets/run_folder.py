"""A finished run with its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from sskt_edge.common.errors import RunError
from sskt_edge.data.inputs.input import input_of
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.targets.finished_run import FinishedRun, read_finished
from sskt_edge.targets.spec import target_spec
from sskt_edge.targets.weights import load_weights


@dataclass(frozen=True)
class TrainedNetwork(FinishedRun):
    """A finished run with its primary network.

    Attributes:
        network: the network in eval mode, frozen.
        pixels: its preprocessing.
    """

    network: nn.Module
    pixels: Pixels


def read_run(path: Path | str) -> TrainedNetwork:
    """Read a finished run.

    Raises:
        RunError: the folder holds no run, the run is not finished, or a file is missing or was changed.

    >>> import sskt_edge
    >>> run = sskt_edge.read_run("runs/tiny")
    >>> run.result.test.metric, run.result.test.images, run.network.training
    ('accuracy', 359, False)
    """
    return with_network(read_finished(path))


def with_network(run: FinishedRun) -> TrainedNetwork:
    """A finished run with its network, read from its folder.

    Raises:
        RunError: the weights are missing or were changed.
    """
    content, recipe = run.weights(), run.recipe
    with torch.random.fork_rng(devices=[]):
        network = target_spec(recipe.target.model).build(len(run.classes))
    try:
        weights = safetensors.torch.load(content)
    except SafetensorError as error:
        raise RunError(f"'{run.folder.primary}' is broken: {error}. Train again.") from error
    load_weights(network, weights, str(run.folder.primary))
    network.eval().requires_grad_(False)
    shown = input_of(recipe.data.name)
    pixels = shown.preprocess(recipe.data.image_size, recipe.target.mean, recipe.target.std)
    return TrainedNetwork(run.folder, recipe, run.result, network, pixels)

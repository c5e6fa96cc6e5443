"""run/<path>: a network that sskt-edge has trained, as a source for the next one."""

from __future__ import annotations

from pathlib import Path

import torch

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.common.errors import NetworkError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import TorchSource
from sskt_edge.targets.run_folder import read_run
from sskt_edge.tasks.task import task_named


def open_run(part: SourceOptions, device: torch.device) -> TorchSource:
    """The stripped network of a finished run, with the run's own preprocessing.

    Raises:
        RunError: the folder holds no finished run.
        NetworkError: its network does not take images, or gives an image several classes.
    """
    run = read_run(Path(part.model.partition("/")[2]))
    if not DATA_SETS[run.recipe.data.name].holds_images:
        raise NetworkError(
            f"Source '{part.name}': the network of '{run.folder.path}' takes input of kind '{run.kind}', but a "
            f"source is shown images. Name a run that was trained on images."
        )
    if not task_named(run.recipe.task.name).one_class:
        raise NetworkError(
            f"Source '{part.name}': the network of '{run.folder.path}' gives every class a separate probability, but a "
            f"source needs a softmax over its classes. Name a run with one class per image."
        )
    own = run.pixels
    pixels = Pixels(part.input_size or own.size, part.mean or own.mean, part.std or own.std)
    return TorchSource(part.name, f"run/{run.recipe.target.model}", run.network, pixels, device)

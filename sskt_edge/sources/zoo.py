"""Where sources come from: the first word of a source's `model` says which function opens it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sskt_edge.common.errors import CheckpointError, RecipeError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.from_cifar import open_cifar
from sskt_edge.sources.from_onnx import open_onnx
from sskt_edge.sources.from_package import open_package
from sskt_edge.sources.from_run import open_run
from sskt_edge.sources.from_timm import open_timm
from sskt_edge.sources.from_torchvision import open_torchvision
from sskt_edge.sources.source import Source
from sskt_edge.targets.weights import no_pickles

OPENERS: dict[str, Callable[[SourceOptions, torch.device], Source]] = {
    "torchvision": open_torchvision,
    "timm": open_timm,
    "package": open_package,
    "cifar": open_cifar,
    "run": open_run,
    "onnx": open_onnx,
}

# Which of the keys about weights an opener serves; the others carry their own.
_SERVED = {"torchvision": {"weights", "checkpoint"}, "timm": {"checkpoint"}, "cifar": {"checkpoint"}}


def open_source(part: SourceOptions, device: torch.device) -> Source:
    """The frozen source that a recipe's [[sources]] asks for; the process's random numbers stay as they were.

    Raises:
        CheckpointError: weights that are missing, broken or do not fit.
        DownloadError: published weights could not be fetched.
        MissingExtraError: the package that holds it is not installed.
        NetworkError: no such network, or not one that turns images into logits.
        RecipeError: keys that do not go together.
        RunError: the run is missing, unfinished or broken.
        BundleError: an ONNX file that is broken or has its data outside.
    """
    kind = part.model.partition("/")[0]
    for key in ("weights", "checkpoint"):
        if getattr(part, key) is not None and key not in _SERVED.get(kind, ()):
            raise RecipeError(f"sources.{part.name}.{key}: a {kind}/ source brings its own weights. Leave {key} out.")
    with torch.random.fork_rng(devices=[]), no_pickles():
        source = OPENERS[kind](part, device)
    if part.classes not in (None, source.classes):
        raise CheckpointError(
            f"sources.{part.name}.classes = {part.classes}, but {part.model} has {source.classes} classes. "
            f"Leave classes out, or name other weights."
        )
    return source

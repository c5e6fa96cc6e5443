"""Where sources come from: the first word of a source's `model` says who opens it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from sskt_edge.errors import CheckpointError, RecipeError
from sskt_edge.recipe.models import Source as SourcePart
from sskt_edge.sources.from_onnx import open_onnx
from sskt_edge.sources.from_package import open_package
from sskt_edge.sources.from_run import open_run
from sskt_edge.sources.from_timm import open_timm
from sskt_edge.sources.from_torchvision import open_torchvision
from sskt_edge.sources.source import Source

OPENERS: dict[str, Callable[[SourcePart, torch.device], Source]] = {
    "torchvision": open_torchvision,
    "timm": open_timm,
    "package": open_package,
    "run": open_run,
    "onnx": open_onnx,
}

# Which of the keys about weights an opener serves; the others carry their own.
_SERVED = {"torchvision": {"weights", "checkpoint"}, "timm": {"checkpoint"}}


def open_source(part: SourcePart, device: torch.device) -> Source:
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
    with torch.random.fork_rng(devices=[]), _no_pickles():
        source = OPENERS[kind](part, device)
    if part.classes not in (None, source.classes):
        raise CheckpointError(
            f"sources.{part.name}.classes = {part.classes}, but {part.model} has {source.classes} classes. "
            f"Leave classes out, or name other weights."
        )
    return source


@contextmanager
def _no_pickles() -> Iterator[None]:
    """No torch.load inside runs pickle code, whatever its caller asks for.

    torchvision, and timm of some versions, read cached files without weights_only; a cached file is not hashed again.
    """
    forced = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "0"}
    before = {key: os.environ.get(key) for key in forced}
    os.environ.update(forced)
    try:
        yield
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"Weights that were fetched earlier were not opened: reading them could run code that they carry. "
            f"Remove them from '{torch.hub.get_dir()}/checkpoints'. ({str(error).splitlines()[0]})"
        ) from error
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value

"""A recipe's source, opened by the code that the catalogue names for its kind."""

from __future__ import annotations

import torch

from sskt_edge.catalogue.sources import SOURCES
from sskt_edge.common.errors import CheckpointError, RecipeError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import Source
from sskt_edge.targets.weights import no_pickles


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
    entry = SOURCES[kind]
    for key in ("weights", "checkpoint"):
        if getattr(part, key) is not None and key not in entry.serves:
            raise RecipeError(f"sources.{part.name}.{key}: a {kind}/ source brings its own weights. Leave {key} out.")
    with torch.random.fork_rng(devices=[]), no_pickles():
        source: Source = entry.load()(part, device)
    if part.classes not in (None, source.classes):
        raise CheckpointError(
            f"sources.{part.name}.classes = {part.classes}, but {part.model} has {source.classes} classes. "
            f"Leave classes out, or name other weights."
        )
    return source

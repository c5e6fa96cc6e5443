"""Open a recipe's source with the code that the catalogue names for its kind."""

from __future__ import annotations

import torch

from sskt_edge.catalogue.sources import SOURCES
from sskt_edge.common.errors import CheckpointError, RecipeError
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.source import Source
from sskt_edge.targets.weights import no_pickles


def open_source(part: SourceOptions, device: torch.device) -> Source:
    """Open the frozen source of an entry of [[sources]]. The process's random state is not changed.

    Raises:
        CheckpointError: the weights are missing or broken, or do not fit.
        DownloadError: published weights could not be fetched.
        MissingExtraError: the package that provides it is not installed.
        NetworkError: the network does not exist, or does not turn images into logits.
        RecipeError: some keys exclude each other.
        RunError: the run is missing, unfinished or broken.
        BundleError: an ONNX file is broken or has its data outside the file.
    """
    kind = part.model.partition("/")[0]
    entry = SOURCES[kind]
    for key in ("weights", "checkpoint"):
        if getattr(part, key) is not None and key not in entry.serves:
            raise RecipeError(f"sources.{part.name}.{key}: a {kind}/ source has its own weights. Leave {key} out.")
    if part.outputs == "features" and not entry.has_features:
        those = ", ".join(f"{one.name}/" for one in SOURCES.values() if one.has_features)
        raise RecipeError(
            f"sources.{part.name}.outputs = 'features': a {kind}/ source gives logits alone. Leave outputs out; "
            f"these give features: {those}."
        )
    with torch.random.fork_rng(devices=[]), no_pickles():
        source: Source = entry.load()(part, device)
    if part.outputs == "logits" and part.classes not in (None, source.classes):
        raise CheckpointError(
            f"sources.{part.name}.classes = {part.classes}, but {part.model} has {source.classes} classes. "
            f"Leave classes out, or name other weights."
        )
    return source

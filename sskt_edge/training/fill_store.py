"""Fill the label store of a recipe before any training."""

from __future__ import annotations

from typing import Any

from sskt_edge.common.errors import Interrupted, RecipeError
from sskt_edge.common.progress import QUIET, Progress, Stoppable
from sskt_edge.recipe.models import Recipe
from sskt_edge.training.device import choose_device
from sskt_edge.training.inputs import open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.signals import StopRequested, StopSignal


def fill_store(recipe: Recipe, progress: Progress = QUIET) -> dict[str, dict[str, Any]]:
    """Fill the label store as a training of the recipe would, without training.

    Returns:
        Source → "engine", "why", "views", "asked", "path".

    Raises:
        InputError: the recipe names something that is missing or does not fit, or keeps no labels.
        ParityError: no engine that the recipe allows passes the gate.
        Interrupted: a signal came; the labels so far are kept.
        StorageError: the disk is full, or will be; the labels so far are kept.
    """
    if not recipe.active_sources:
        raise RecipeError(
            f"This recipe queries no source: method.name = '{recipe.method.name}'. There is nothing to fill."
        )
    if not recipe.labels.store:
        raise RecipeError("This recipe keeps no soft labels: labels.store = false. Set it to a folder to fill one.")
    device, stop = choose_device(recipe.train.device), StopSignal()
    progress = Stoppable(progress, stop.raise_if_set)
    with repeatable(device):
        sources = sources_of(recipe, open_inputs(recipe, device, progress), device, progress)
        try:
            with stop.catching():
                choices = sources.choose(pinned={})
                asked = sources.fill(choices, progress.say)
        except StopRequested as request:
            raise Interrupted(
                "Stopped; the labels so far are kept. Run the same command to continue.", request.signum
            ) from None
    filled = {}
    for query in sources.queries:
        name, choice = query.source.name, choices[query.source.name]
        collection = sources.collection(query, choice)
        filled[name] = {
            "engine": choice.engine.name,
            "why": choice.why,
            "views": query.views,
            "asked": asked[name],
            "path": str(collection.path) if collection else None,
        }
    return filled

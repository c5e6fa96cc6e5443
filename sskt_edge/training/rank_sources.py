"""Rank sources by what they know of the task: the held-out score of a probe on each, with its cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sskt_edge.common.errors import Interrupted, RecipeError
from sskt_edge.common.progress import QUIET, Progress, Stoppable
from sskt_edge.recipe.load import apply_overrides
from sskt_edge.recipe.models import Recipe
from sskt_edge.sources.fill_record import speed_of
from sskt_edge.sources.probe.fit import fit_probes
from sskt_edge.sources.probe.probe import ProbeFacts
from sskt_edge.training.device import choose_device
from sskt_edge.training.inputs import open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.signals import StopRequested, StopSignal

# More views of an image change a score by less than its interval; these are among those that a training uses.
_VIEWS = 4


@dataclass(frozen=True)
class RankedSource:
    """A source, or all together.

    Attributes:
        facts: the facts of its probe.
        engines: the names of the engines that answered.
        images_per_second: how many views are answered in a second; None if it was never measured.
    """

    facts: ProbeFacts
    engines: tuple[str, ...]
    images_per_second: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.facts.model_dump(mode="json"),
            "engines": list(self.engines),
            "images_per_second": self.images_per_second,
        }


def rank_sources(recipe: Recipe, progress: Progress = QUIET) -> list[RankedSource]:
    """Rank all sources of a recipe by their probes, the lowest held-out loss first.

    Labels of a few views of the labelled images are added to the store where they are missing; a training uses them.

    Raises:
        InputError: the recipe names something that is missing or does not fit, or keeps no labels; or a class has fewer
            than two images.
        ParityError: no engine that the recipe allows passes the gate.
        Interrupted: a signal came; the labels so far are kept.
        StorageError: the disk is full, or will be; the labels so far are kept.
    """
    if not recipe.sources:
        raise RecipeError("This recipe has no source to rank. Add [[sources]]; the kinds: sskt-edge networks.")
    probed = _with_probe_method(recipe)
    device, stop = choose_device(recipe.train.device), StopSignal()
    progress = Stoppable(progress, stop.raise_if_set)
    with repeatable(device):
        inputs = open_inputs(probed, device, progress)
        labelled = replace(inputs, unlabelled=None)
        sources = sources_of(with_few_views(probed), labelled, device, progress)
        try:
            with stop.catching():
                # The engines that a training of all images and views would choose, so that it finds their labels.
                choices = sources_of(probed, inputs, device, progress).choose(pinned={})
                labels = sources.labels(choices, progress.say)[0]
                probe = fit_probes(inputs.task, inputs.images, inputs.reader.classes, labels, progress)
        except StopRequested as request:
            raise Interrupted(
                "Stopped; the labels so far are kept. Run the same command to continue.", request.signum
            ) from None
    speeds = {
        query.source.name: choice.images_per_second or speed_of(sources.collection(query, choice))
        for query in sources.queries
        for choice in [choices[query.source.name]]
    }
    return [
        _ranked(facts, {name: choice.engine.name for name, choice in choices.items()}, speeds) for facts in probe.facts
    ]


def _ranked(facts: ProbeFacts, engines: dict[str, str], speeds: dict[str, float | None]) -> RankedSource:
    known = [speed for name in facts.sources if (speed := speeds[name])]
    together = 1 / sum(1 / speed for speed in known) if len(known) == len(facts.sources) else None
    return RankedSource(facts, tuple(dict.fromkeys(engines[name] for name in facts.sources)), together)


def with_probes(recipe: Recipe) -> Recipe:
    """The recipe with all its sources, the probe method, and labelled images alone.

    Raises:
        RecipeError: it keeps no labels, or only some logits.
    """
    tree = _with_probe_method(recipe).model_dump(mode="json", exclude_none=True)
    tree["data"]["unlabelled"] = ""
    return apply_overrides(tree, (), "the recipe")


def _with_probe_method(recipe: Recipe) -> Recipe:
    tree = recipe.model_dump(mode="json", exclude_none=True)
    tree["method"] = {"name": "probe"}
    return apply_overrides(tree, (), "the recipe")


def with_few_views(recipe: Recipe) -> Recipe:
    """The recipe with as many views of an image as a ranking needs."""
    views = recipe.labels.views
    few = min(views, _VIEWS) if isinstance(views, int) else _VIEWS
    labels = recipe.labels.model_copy(update={"views": few})
    train = recipe.train.model_copy(update={"epochs": max(recipe.train.epochs, few)})
    return recipe.model_copy(update={"labels": labels, "train": train})

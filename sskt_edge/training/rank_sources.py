"""Rank sources by what they know of the task: the held-out score of a probe on each, with its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sskt_edge.common.errors import Interrupted, RecipeError
from sskt_edge.common.progress import QUIET, Progress, Stoppable
from sskt_edge.recipe.load import apply_overrides
from sskt_edge.recipe.models import Recipe
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.fill_record import speed_of
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.probe.fit import fit_probes
from sskt_edge.sources.probe.probe import ProbeFacts
from sskt_edge.sources.sources import Sources
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
        filling: the seconds to query the labels that a training of this recipe still lacks; None if no speed is known.
        licenses: source → the license of its weights, where it is known.
    """

    facts: ProbeFacts
    engines: tuple[str, ...]
    images_per_second: float | None
    filling: float | None
    licenses: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.facts.model_dump(mode="json"),
            "engines": list(self.engines),
            "images_per_second": self.images_per_second,
            "seconds_to_fill": self.filling,
            "licenses": self.licenses,
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
                whole = sources_of(probed, inputs, device, progress)
                choices = whole.choose(pinned={})
                labels = sources.labels(choices, progress.say)[0]
                probe = fit_probes(inputs.task, inputs.images, inputs.reader.classes, labels, progress)
        except StopRequested as request:
            raise Interrupted(
                "Stopped; the labels so far are kept. Run the same command to continue.", request.signum
            ) from None
        costs = {query.source.name: _cost(query, whole, choices[query.source.name]) for query in whole.queries}
    return [_ranked(facts, costs, inputs.licenses) for facts in probe.facts]


class _Cost(NamedTuple):
    """What a source costs: its engine, the views that are missing for a training, and views a second if known."""

    engine: str
    missing: int
    speed: float | None


def _cost(query: LabelQuery, sources: Sources, choice: EngineChoice) -> _Cost:
    speed = choice.images_per_second or speed_of(sources.collection(query, choice))
    return _Cost(choice.engine.name, sources.missing(query, choice), speed)


def _ranked(facts: ProbeFacts, costs: Mapping[str, _Cost], licenses: Mapping[str, str]) -> RankedSource:
    own = [costs[name] for name in facts.sources]
    known = [cost.speed for cost in own if cost.speed]
    together = 1 / sum(1 / speed for speed in known) if len(known) == len(own) else None
    filling = sum(cost.missing / speed for cost, speed in zip(own, known, strict=True)) if together else None
    engines = tuple(dict.fromkeys(cost.engine for cost in own))
    own_licenses = {name: licenses[name] for name in facts.sources if name in licenses}
    return RankedSource(facts, engines, together, filling, own_licenses)


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

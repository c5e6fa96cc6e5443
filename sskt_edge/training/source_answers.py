"""The sources themselves on the test images, each with its linear layer: what a user could ship instead of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sskt_edge.common.errors import Interrupted
from sskt_edge.common.progress import Progress, Stoppable
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.recipe.models import Recipe, SourceOptions
from sskt_edge.sources.probe.fit import fit_each
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.sources.source import Source, TorchSource
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from sskt_edge.targets.cost import network_cost
from sskt_edge.targets.finished_run import NetworkCost
from sskt_edge.tasks.score import Score, score_from
from sskt_edge.training.device import choose_device
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.rank_sources import with_probes
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.signals import StopRequested, StopSignal


@dataclass(frozen=True)
class SourceAnswers:
    """The answers of a source with its linear layer, or of all sources with one layer.

    Attributes:
        name: the source's name, or the names of all.
        test: the score on the test images.
        cost: parameters, and multiply-accumulates for an image as the source is shown it; None for an ONNX file.
        shown: the recipe's entry of each of the sources, with the side of the images that it is shown.
    """

    name: str
    test: Score
    cost: NetworkCost | None
    shown: tuple[tuple[SourceOptions, int], ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; of a source its model and the side."""
        shown = {part.name: {"model": part.model, "size": side} for part, side in self.shown}
        return {"name": self.name, "test": self.test, "cost": self.cost, "sources": shown}


def source_answers(recipe: Recipe, progress: Progress) -> list[SourceAnswers]:
    """Test all sources of a recipe, each with the mean of its probe's layers, on whole test images, the best first.

    The labels of the test images are added to the store, under views that no training uses.

    Raises:
        InputError, WorkError: as for `rank_sources`.
        Interrupted: a signal came; the labels so far are kept.
    """
    recipe = with_probes(recipe)
    device, stop = choose_device(recipe.train.device), StopSignal()
    progress = Stoppable(progress, stop.raise_if_set)
    with repeatable(device):
        inputs = open_inputs(recipe, device, progress)
        try:
            with stop.catching():
                labelled, tested = _labels(recipe, inputs, device, progress)
        except StopRequested as request:
            raise Interrupted(
                "Stopped; the labels so far are kept. Run the same command to continue.", request.signum
            ) from None
        probes = fit_each(inputs.task, inputs.images, inputs.reader.classes, labelled, progress)
        answers = {name: reader.read(np.arange(tested.schedule.count)) for name, reader in tested.readers.items()}
        labels, classes = tested.schedule.images.labels, len(inputs.reader.classes)
        parts = {part.name: part for part in recipe.sources}
        costs = {source.name: _cost(source, inputs.source_views[source.name].size, device) for source in inputs.sources}
        found = [
            SourceAnswers(
                probe.facts[0].name,
                score_from(inputs.task.scores(probe.mean.logits(probe.inputs(answers)), labels, classes)),
                _sum([costs[name] for name in probe.sources]),
                tuple((parts[name], inputs.source_views[name].size) for name in probe.sources),
            )
            for probe in probes
        ]
    return sorted(found, key=lambda one: -one.test.value)


def _labels(recipe: Recipe, inputs: Inputs, device: torch.device, progress: Progress) -> Sequence[SoftLabels]:
    """The soft labels of the labelled images, and of one view of every test image."""
    usual = sources_of(recipe, inputs, device, progress)
    asked = usual.for_views([usual.schedules[0], _whole_images(recipe, inputs, progress)])
    return asked.labels(asked.choose(pinned={}), progress.say)


def _whole_images(recipe: Recipe, inputs: Inputs, progress: Progress) -> ViewSchedule:
    """One view of every test image: the whole image, not mirrored."""
    size = recipe.data.image_size
    sizes = list(dict.fromkeys([size, *(view.size for view in inputs.source_views.values())]))
    policy = ViewPolicy(size, padding=0, flip=False)
    plan = LabelPlan(inputs.input_kind, policy, recipe.data.view_seed, 1, recipe.labels.batch_size)
    return ViewSchedule(inputs.reader.test(sizes, progress), plan, 1)


def _cost(source: Source, size: int, device: torch.device) -> NetworkCost | None:
    if not isinstance(source, TorchSource):
        return None
    blank = torch.zeros(1, size, size, 3, dtype=torch.uint8, device=device)
    return network_cost(source.network, source.pixels(blank))


def _sum(costs: Sequence[NetworkCost | None]) -> NetworkCost | None:
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    return NetworkCost(parameters=sum(one.parameters for one in known), macs=sum(one.macs for one in known))

"""Estimate the cost of a recipe's soft labels by measurement, before any labels are made."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from sskt_edge.common.errors import RecipeError
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.data.batches import joining
from sskt_edge.methods.learner import Learner
from sskt_edge.recipe.models import Recipe, TrainOptions
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.online import views_asked
from sskt_edge.sources.probe.fit import fit_probes
from sskt_edge.sources.probe.probe import ProbeFacts
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.sources.sources import Sources
from sskt_edge.training.device import choose_device, choose_precision
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.learner import build_learner
from sskt_edge.training.rank_sources import with_few_views
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.trial import blank_batch, trial_step

_STEPS = 5


@dataclass(frozen=True)
class SourcePlan:
    """The plan for one source.

    Attributes:
        name: the source's name.
        verdicts: the speed and the gate's verdict for the reference and every other engine that the recipe allows.
        choice: the engine that a training would use.
        views: the number of distinct views that the training needs labels for.
        missing: the number of those that the store lacks.
        asked_online: the number of queries of a training without a store, which queries the same view repeatedly.
        bytes: the size of the missing labels on the disk.
        path: their collection's folder; None without a store.
        license: the license of the source's weights, where it is known.
    """

    name: str
    verdicts: tuple[GateVerdict, ...]
    choice: EngineChoice
    views: int
    missing: int
    asked_online: int
    bytes: int
    path: str | None
    license: str | None = None

    @property
    def speed(self) -> float:
        """The images per second of the engine that is used."""
        return self._asking.images_per_second

    @property
    def opening(self) -> float:
        """The seconds to prepare the engine: to export the network, and to build TensorRT's engine."""
        return self._asking.seconds_to_open

    @property
    def filling(self) -> float:
        """The seconds to query the labels that the store lacks."""
        return self.missing / self.speed

    @property
    def _asking(self) -> GateVerdict:
        """The chosen engine's verdict, or the fastest passing one if the chosen engine only has stored labels."""
        chosen = [verdict for verdict in self.verdicts if verdict.engine == self.choice.engine]
        return (chosen or sorted(self.verdicts, key=lambda it: (it.passed, it.images_per_second)))[-1]


@dataclass(frozen=True)
class Plan:
    """The cost of a training.

    Attributes:
        sources: the plan for each source.
        epochs: the number of epochs.
        asking_epochs: the epochs in which a training without a store queries: only the first if an image has one view.
        images: the number of images that the target sees in an epoch, including unlabelled ones.
        stored_epoch: the seconds of an epoch with stored labels: forward and backward of the target with its branches.
        probes: what a probe of each source knows, as `labels rank` finds it, if the labels that it needs are stored;
            None if the method fits no probe.
    """

    sources: tuple[SourcePlan, ...]
    epochs: int
    asking_epochs: int
    images: int
    stored_epoch: float
    probes: tuple[ProbeFacts, ...] | None = None

    @property
    def online_epoch(self) -> float:
        """The mean seconds of an epoch in a training without a store, with the chosen engines."""
        return self.stored_epoch + self._asking / self.epochs

    @property
    def filling(self) -> float:
        """The seconds to query the labels that the store lacks."""
        return sum(plan.filling for plan in self.sources)

    @property
    def training_stored(self) -> float:
        """The seconds of the whole training, including preparing the engines and filling the store before it."""
        opening = sum(plan.opening for plan in self.sources if plan.missing)
        return opening + self.filling + self.epochs * self.stored_epoch

    @property
    def training_online(self) -> float:
        """The seconds of the whole training without a store, including preparing the engines."""
        return sum(plan.opening for plan in self.sources) + self.epochs * self.online_epoch

    @property
    def break_even(self) -> int:
        """The number of epochs after which the store has cost no more than querying again."""
        return math.ceil(round(self.filling / (self._asking / self.asking_epochs), 6))

    @property
    def _asking(self) -> float:
        """The seconds that a whole training without a store spends on querying the sources."""
        return sum(plan.asked_online / plan.speed for plan in self.sources)

    def as_json(self) -> dict[str, Any]:
        """The plan as values for JSON."""
        return {
            "epochs": self.epochs,
            "images_per_epoch": self.images,
            "seconds": {
                "stored_epoch": self.stored_epoch,
                "online_epoch": self.online_epoch,
                "filling": self.filling,
                "training_stored": self.training_stored,
                "training_online": self.training_online,
            },
            "break_even_epochs": self.break_even,
            "probes": None if self.probes is None else {facts.name: facts for facts in self.probes},
            "sources": {
                plan.name: {
                    "engine": plan.choice.engine.name,
                    "why": plan.choice.why,
                    "views": plan.views,
                    "missing": plan.missing,
                    "seconds_to_open": plan.opening,
                    "bytes": plan.bytes,
                    "path": plan.path,
                    "license": plan.license,
                    "engines": {verdict.engine.name: verdict for verdict in plan.verdicts},
                }
                for plan in self.sources
            },
        }


def plan_labels(recipe: Recipe, progress: Progress = QUIET) -> Plan:
    """Measure the engines of every source and a training step of the target. No label is written.

    Engines that TensorRT builds for this are kept in the user's cache, for the filling.

    Raises:
        InputError: the recipe names something that is missing, or no source; or labels.top_k keeps too little.
        ParityError: no engine that the recipe allows passes the gate.
    """
    if not recipe.active_sources:
        raise RecipeError(
            f"This recipe queries no source: method.name = '{recipe.method.name}'. There is nothing to plan."
        )
    device = choose_device(recipe.train.device)
    with repeatable(device):
        inputs = open_inputs(recipe, device, progress)
        sources = sources_of(recipe, inputs, device, progress)
        plans = tuple(_plan(query, sources) for query in sources.queries)
        probes = _probes(recipe, inputs, plans, device, progress) if recipe.method.fits_probe else None
        unlabelled = recipe.data.unlabelled_ratio if inputs.unlabelled is not None else 0.0
        images = len(inputs.images) + sum(joining(len(inputs.images), recipe.train.batch_size, unlabelled))
        classes = len(inputs.reader.classes)
        learner = build_learner(recipe.target, recipe.method, inputs.taught_by, classes, recipe.train, device)
        seconds = images * _seconds_per_image(learner, inputs, recipe.train, device, progress)
    asking = 1 if sources.schedules[0].numbers == 1 else recipe.train.epochs
    return Plan(plans, recipe.train.epochs, asking, images, seconds, probes)


def _probes(
    recipe: Recipe, inputs: Inputs, plans: Sequence[SourcePlan], device: torch.device, progress: Progress
) -> tuple[ProbeFacts, ...]:
    """The facts of the probes, the best first; none if a label is missing that `rank_sources` would query."""
    sources = sources_of(with_few_views(recipe), replace(inputs, unlabelled=None), device, progress)
    schedule, readers = sources.schedules[0], {}
    for query, plan in zip(sources.queries, plans, strict=True):
        collection = sources.collection(query, plan.choice)
        stored = collection and collection.open(schedule.keys, progress)
        if not stored:
            return ()
        readers[plan.name] = stored
    features = [query.source.name for query in sources.queries if query.source.outputs == "features"]
    labels = SoftLabels(schedule, readers, features)
    return fit_probes(inputs.task, inputs.images, inputs.reader.classes, labels, progress).facts


def _plan(query: LabelQuery, sources: Sources) -> SourcePlan:
    choice = sources.selector(query).survey()
    sources.check_top_k(query, choice)
    collection = sources.collection(query, choice)
    missing = sources.missing(query, choice)
    return SourcePlan(
        name=query.source.name,
        verdicts=choice.verdicts,
        choice=choice,
        views=query.views,
        missing=missing,
        asked_online=sum(views_asked(schedule) for schedule in query.schedules),
        bytes=0 if collection is None else missing * collection.row_bytes,
        path=None if collection is None else str(collection.path),
        license=query.source.license,
    )


def _seconds_per_image(
    learner: Learner, inputs: Inputs, train: TrainOptions, device: torch.device, progress: Progress
) -> float:
    """The seconds of a training step per image: the fastest of several steps on blank images."""
    blank = blank_batch(inputs.input_kind, inputs.pixels, len(inputs.images), train, device)
    step, taken = trial_step(learner, inputs.task, blank, len(inputs.reader.classes)), []
    with progress.bar("time the target", _STEPS) as bar:
        precision, _ = choose_precision(train.precision, device, step)
        for _ in range(_STEPS):
            start = time.perf_counter()
            step(precision)
            taken.append(time.perf_counter() - start)
            bar.advance()
    return min(taken) / len(blank)

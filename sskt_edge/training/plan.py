"""What the soft labels of a recipe will cost, measured before any of it is spent."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
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
from sskt_edge.sources.sources import Sources
from sskt_edge.training.device import choose_device, choose_precision
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.learner import build_learner
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.trial import blank_batch, trial_step

_STEPS = 5


@dataclass(frozen=True)
class SourcePlan:
    """One source's part.

    Attributes:
        name: the source's.
        verdicts: speed and gate of the reference, and of every other engine that the recipe allows.
        choice: what a training would take.
        views: different views that the training needs labels of.
        missing: those that the store lacks.
        asked_online: views that a training without a store asks, the same view again and again.
        bytes: what the missing ones will take on the disk.
        path: where they will lie; None without a store.
    """

    name: str
    verdicts: tuple[GateVerdict, ...]
    choice: EngineChoice
    views: int
    missing: int
    asked_online: int
    bytes: int
    path: str | None

    @property
    def speed(self) -> float:
        """Images a second of the engine that asks."""
        return self._asking.images_per_second

    @property
    def opening(self) -> float:
        """Seconds to make the engine ready: to export the network, and to build what TensorRT runs."""
        return self._asking.seconds_to_open

    @property
    def filling(self) -> float:
        """Seconds to ask what the store lacks."""
        return self.missing / self.speed

    @property
    def _asking(self) -> GateVerdict:
        """On the chosen engine; on the fastest that passes where the chosen one has all labels and is not here."""
        chosen = [verdict for verdict in self.verdicts if verdict.engine == self.choice.engine]
        return (chosen or sorted(self.verdicts, key=lambda it: (it.passed, it.images_per_second)))[-1]


@dataclass(frozen=True)
class Plan:
    """What a training will cost.

    Attributes:
        sources: each one's part.
        epochs: of the training.
        asking_epochs: those in which a training without a store asks: the first alone if an image has a single view.
        images: that an epoch shows the target, unlabelled ones among them.
        stored_epoch: seconds of an epoch on stored labels: forward and backward of the target with its branches.
    """

    sources: tuple[SourcePlan, ...]
    epochs: int
    asking_epochs: int
    images: int
    stored_epoch: float

    @property
    def online_epoch(self) -> float:
        """Seconds of an epoch that asks the sources again, each by its chosen engine; the mean of all epochs."""
        return self.stored_epoch + self._asking / self.epochs

    @property
    def filling(self) -> float:
        """Seconds to ask what the store lacks."""
        return sum(plan.filling for plan in self.sources)

    @property
    def training_stored(self) -> float:
        """Seconds of the whole training, the store filled before it by engines that are made ready first."""
        opening = sum(plan.opening for plan in self.sources if plan.missing)
        return opening + self.filling + self.epochs * self.stored_epoch

    @property
    def training_online(self) -> float:
        """Seconds of the whole training without a store, the engines made ready before it."""
        return sum(plan.opening for plan in self.sources) + self.epochs * self.online_epoch

    @property
    def break_even(self) -> int:
        """The number of epochs after which the store has cost no more than asking again."""
        return math.ceil(round(self.filling / (self._asking / self.asking_epochs), 6))

    @property
    def _asking(self) -> float:
        """Seconds in which a whole training without a store asks the sources."""
        return sum(plan.asked_online / plan.speed for plan in self.sources)

    def as_json(self) -> dict[str, Any]:
        """What as_json makes JSON of."""
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
            "sources": {
                plan.name: {
                    "engine": plan.choice.engine.name,
                    "why": plan.choice.why,
                    "views": plan.views,
                    "missing": plan.missing,
                    "seconds_to_open": plan.opening,
                    "bytes": plan.bytes,
                    "path": plan.path,
                    "engines": {verdict.engine.name: verdict for verdict in plan.verdicts},
                }
                for plan in self.sources
            },
        }


def plan_labels(recipe: Recipe, progress: Progress = QUIET) -> Plan:
    """Measure the engines of every source and a step of the target; no label is written.

    An engine that TensorRT builds for it is kept in the user's cache, for the filling.

    Raises:
        InputError: the recipe names what is not there, or no source; or labels.top_k keeps too little.
        ParityError: no engine that the recipe allows passes the gate.
    """
    if not recipe.active_sources:
        raise RecipeError(
            f"This recipe asks no source: method.name = '{recipe.method.name}'. There is nothing to plan."
        )
    device = choose_device(recipe.train.device)
    with repeatable(device):
        inputs = open_inputs(recipe, device, progress)
        sources = sources_of(recipe, inputs, device, progress)
        plans = tuple(_plan(query, sources) for query in sources.queries)
        unlabelled = recipe.data.unlabelled_ratio if inputs.unlabelled is not None else 0.0
        images = len(inputs.images) + sum(joining(len(inputs.images), recipe.train.batch_size, unlabelled))
        classes = len(inputs.reader.classes)
        learner = build_learner(recipe.target, recipe.method, inputs.taught_by, classes, recipe.train, device)
        seconds = images * _seconds_per_image(learner, inputs, recipe.train, device, progress)
    asking = 1 if sources.schedules[0].numbers == 1 else recipe.train.epochs
    return Plan(plans, recipe.train.epochs, asking, images, seconds)


def _plan(query: LabelQuery, sources: Sources) -> SourcePlan:
    choice = sources.selector(query).survey()
    sources.check_top_k(query, choice)
    collection = sources.collection(query, choice)
    missing = query.views if collection is None else query.missing(collection)
    return SourcePlan(
        name=query.source.name,
        verdicts=choice.verdicts,
        choice=choice,
        views=query.views,
        missing=missing,
        asked_online=sum(views_asked(schedule) for schedule in query.schedules),
        bytes=0 if collection is None else missing * collection.row_bytes,
        path=None if collection is None else str(collection.path),
    )


def _seconds_per_image(
    learner: Learner, inputs: Inputs, train: TrainOptions, device: torch.device, progress: Progress
) -> float:
    """Of a training step: the quickest of some on blank images."""
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

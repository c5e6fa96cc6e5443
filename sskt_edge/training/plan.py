"""What the soft labels of a recipe will cost, measured before any of it is spent."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from sskt_edge.errors import RecipeError
from sskt_edge.recipe.models import Recipe
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.sources.choice import Choice, allowed_engines, fastest_choice, kept_choice, measure
from sskt_edge.sources.gate import Verdict
from sskt_edge.training.device import choose_device, choose_precision, trial_step
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.labels import Sources
from sskt_edge.training.loop import trial_loss
from sskt_edge.training.network import branched_target
from sskt_edge.training.repeatable import repeatable

_STEPS = 5


@dataclass(frozen=True)
class SourcePlan:
    """One source's part.

    Attributes:
        source: its name.
        verdicts: speed and gate of every engine that the recipe allows, the reference first.
        choice: what a training would take.
        views: different views that the training wants labels of.
        missing: those that the store lacks.
        bytes: what they will take on the disk.
        path: where they will lie; None without a store.
    """

    source: str
    verdicts: tuple[Verdict, ...]
    choice: Choice
    views: int
    missing: int
    bytes: int
    path: str | None

    @property
    def speed(self) -> float:
        """Images a second of the engine that is chosen."""
        return next(v.images_per_second for v in self.verdicts if v.engine == self.choice.engine)


@dataclass(frozen=True)
class Plan:
    """What a training will cost.

    Attributes:
        sources: each one's part.
        epochs: of the training.
        images: that an epoch shows the sources.
        stored_epoch: seconds of an epoch on stored labels: forward and backward of the target with its branches.
    """

    sources: tuple[SourcePlan, ...]
    epochs: int
    images: int
    stored_epoch: float

    @property
    def online_epoch(self) -> float:
        """Seconds of an epoch that asks the sources anew, each by its chosen engine."""
        return self.stored_epoch + sum(self.images / plan.speed for plan in self.sources)

    @property
    def filling(self) -> float:
        """Seconds to ask what the store lacks."""
        return sum(plan.missing / plan.speed for plan in self.sources)

    @property
    def break_even(self) -> int:
        """After so many epochs the store has cost less than asking anew."""
        saved = self.online_epoch - self.stored_epoch
        return int(self.filling / saved) + 1

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "epochs": self.epochs,
            "images_per_epoch": self.images,
            "seconds": {
                "stored_epoch": self.stored_epoch,
                "online_epoch": self.online_epoch,
                "filling": self.filling,
                "training_stored": self.filling + self.epochs * self.stored_epoch,
                "training_online": self.epochs * self.online_epoch,
            },
            "break_even_epochs": self.break_even,
            "sources": {
                plan.source: {
                    "engine": plan.choice.engine.name,
                    "why": plan.choice.why,
                    "views": plan.views,
                    "missing": plan.missing,
                    "bytes": plan.bytes,
                    "path": plan.path,
                    "engines": {verdict.engine.name: asdict(verdict) for verdict in plan.verdicts},
                }
                for plan in self.sources
            },
        }


def plan_labels(recipe: Recipe, progress: Progress = QUIET) -> Plan:
    """Measure the engines of every source and a step of the target; nothing is written.

    Raises:
        InputError: the recipe names what is not there, or no source.
        ParityError: no engine that the recipe allows passes the gate.
    """
    if not recipe.active_sources:
        raise RecipeError("This recipe asks no source: sskt.method = 'scratch'. There is nothing to plan.")
    device = choose_device(recipe.train.device)
    with repeatable(device):
        inputs = open_inputs(recipe, device, progress)
        sources = Sources(recipe, inputs, device, progress, lambda: None)
        plans = tuple(_plan(recipe, sources, number, progress) for number in range(len(sources.questions)))
        seconds = _epoch_seconds(recipe, inputs, progress)
    images = sum(len(wanted.images) * wanted.turns for wanted in sources.wanted) // recipe.train.epochs
    return Plan(plans, recipe.train.epochs, images, seconds)


def _plan(recipe: Recipe, sources: Sources, number: int, progress: Progress) -> SourcePlan:
    question, labels, store = sources.questions[number], recipe.labels, sources.store
    allowed = allowed_engines(question.source, labels)
    verdicts = measure(question, allowed, labels, progress, lambda: None)
    kept = kept_choice(question, labels, store, allowed) if store else None
    choice = kept or fastest_choice(question, labels, verdicts, allowed)
    collection, views = sources.collection(question, choice), question.views
    if collection is None:
        return SourcePlan(question.source.name, tuple(verdicts), choice, views, views, 0, None)
    missing = question.missing(collection)
    size, path = missing * collection.row_bytes, str(collection.path)
    return SourcePlan(question.source.name, tuple(verdicts), choice, views, missing, size, path)


def _epoch_seconds(recipe: Recipe, inputs: Inputs, progress: Progress) -> float:
    """An epoch's steps, by the quickest of some on blank images."""
    device = choose_device(recipe.train.device)
    network = branched_target(recipe, inputs, device)
    classes = len(inputs.reader.classes)
    step = trial_step(network, trial_loss(recipe, len(inputs.images), classes, device), device)
    with progress.bar("time the target", _STEPS) as bar:
        precision, _ = choose_precision(recipe.train.precision, device, step)
        taken = []
        for _ in range(_STEPS):
            start = time.perf_counter()
            step(precision)
            taken.append(time.perf_counter() - start)
            bar.advance()
    per_image = min(taken) / min(recipe.train.batch_size, len(inputs.images))
    unlabelled = recipe.data.unlabelled_ratio if inputs.unlabelled is not None else 0.0
    return per_image * len(inputs.images) * (1 + unlabelled)

"""The sources' part of a training: by which engine each is asked, the store filled, the labels opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sskt_edge.data.batches import passes_needed
from sskt_edge.data.views import ViewPolicy
from sskt_edge.errors import Interrupted, RecipeError
from sskt_edge.recipe.models import Recipe
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.sources.choice import Choice, Question, choose
from sskt_edge.sources.fill import fill
from sskt_edge.sources.labels import Logits, SoftLabels
from sskt_edge.sources.notices import notices
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.wanted import LabelPlan, Wanted
from sskt_edge.training.device import choose_device
from sskt_edge.training.feed import joining
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.signals import StopRequested, StopSignal


class Sources:
    """The sources of a recipe with the views that its training wants of them.

    Args:
        recipe: what is trained.
        inputs: its images and sources.
        device: where torch runs.
        progress: shows bars.
        between: called before each batch of a source and while another process is waited for.

    Attributes:
        seconds: that were spent on choosing engines and on having the labels.
    """

    def __init__(
        self, recipe: Recipe, inputs: Inputs, device: torch.device, progress: Progress, between: Callable[[], None]
    ) -> None:
        self._recipe, self._progress, self._between = recipe, progress, between
        self.seconds = 0.0
        self.store = LabelStore(Path(recipe.labels.store)) if recipe.labels.store else None
        self.wanted = _wanted(recipe, inputs)
        see = recipe.labels.see
        self.questions = tuple(
            Question(source, inputs.sides[source.name], see, self.wanted, device) for source in inputs.sources
        )

    def choose(self, pinned: Mapping[str, str]) -> dict[str, Choice]:
        """The engine of every source by its name; `pinned` names those that a resumed run began with.

        Raises:
            RecipeError, ParityError: as sources.choice.choose.
        """
        with self._timed():
            return {q.source.name: self._choose(q, pinned.get(q.source.name)) for q in self.questions}

    def _choose(self, question: Question, pinned: str | None) -> Choice:
        return choose(question, self._recipe.labels, self.store, pinned, self._progress, self._between)

    def labels(self, choices: Mapping[str, Choice], say: Callable[[str], None]) -> tuple[SoftLabels, ...]:
        """The soft labels of the labelled images, and of the unlabelled ones if there are any, the store filled.

        Raises:
            RecipeError, StorageError, WorkError: as sources.fill.fill.
        """
        with self._timed():
            self.fill(choices, say)
            return tuple(
                SoftLabels(wanted, {q.source.name: self._logits(q, choices, wanted, say) for q in self.questions})
                for wanted in self.wanted
            )

    def fill(self, choices: Mapping[str, Choice], say: Callable[[str], None]) -> int:
        """Fill the store with what is missing, and say before what it will cost; how many views were asked.

        Raises:
            RecipeError, StorageError, WorkError: as sources.fill.fill.
        """
        return sum(self._fill(question, choices[question.source.name], say) for question in self.questions)

    def report(self, question: Question, say: Callable[[str], None]) -> dict[str, Any]:
        """Choose the engine of one source, fill, and say what was done in plain values."""
        choice = self._choose(question, pinned=None)
        asked, collection = self._fill(question, choice, say), self.collection(question, choice)
        where = str(collection.path) if collection else None
        told = {"engine": choice.engine.name, "why": choice.why, "views": question.views}
        return {**told, "asked": asked, "path": where}

    def collection(self, question: Question, choice: Choice) -> Collection | None:
        """Where the store keeps the labels; None if nothing is kept."""
        if self.store is None:
            return None
        return question.collection(self.store, choice.engine, self._recipe.labels.top_k)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def _fill(self, question: Question, choice: Choice, say: Callable[[str], None]) -> int:
        collection = self.collection(question, choice)
        if self.store is None or collection is None:
            say(f"{question.source.name}: asked by {choice.engine.name} in every epoch ({choice.why})")
            return 0
        for line in notices(question, choice, collection, self.store):
            say(line)
        note = {"recipe": self._recipe.name, "threads": torch.get_num_threads()}
        temperature = self._recipe.sskt.temperature
        return fill(question, choice, collection, note, temperature, self._progress, self._between)

    def _logits(
        self, question: Question, choices: Mapping[str, Choice], wanted: Wanted, say: Callable[[str], None]
    ) -> Logits:
        choice = choices[question.source.name]
        collection = self.collection(question, choice)
        if collection is None:
            session = question.source.open(choice.engine, question.side, wanted.plan.batch_size)
            return OnlineLogits(question.source.name, session, question.side, wanted, self._progress, self._between)
        # A damaged shard is found here; what it held is asked again.
        while (stored := collection.open(wanted.keys, self._progress, self._between)) is None:
            self._fill(question, choice, say)
        return stored


def _wanted(recipe: Recipe, inputs: Inputs) -> tuple[Wanted, ...]:
    augment = recipe.data.augment
    policy = ViewPolicy(
        recipe.data.image_size, augment.crop_padding, augment.random_resized_crop, augment.horizontal_flip
    )
    plan = LabelPlan(policy, recipe.data.view_seed, recipe.labels.views, recipe.labels.batch_size)
    labelled = Wanted(inputs.images, plan, recipe.train.epochs)
    if inputs.unlabelled is None:
        return (labelled,)
    per_epoch = sum(joining(len(inputs.images), recipe.train.batch_size, recipe.data.unlabelled_ratio))
    passes = passes_needed(len(inputs.unlabelled), per_epoch, recipe.train.epochs)
    return labelled, Wanted(inputs.unlabelled, plan, passes)


def fill_store(recipe: Recipe, progress: Progress = QUIET) -> dict[str, dict[str, Any]]:
    """Fill the label store as a training of the recipe would, and train nothing.

    Returns:
        Source → "engine", "why", "views", "asked", "path".

    Raises:
        InputError: the recipe names what is not there or does not fit, or keeps no labels.
        Interrupted: a signal came; what was asked is kept.
        StorageError: the disk is full, or will be; what was asked is kept.
    """
    if not recipe.active_sources or not recipe.labels.store:
        wrong = "labels.store = false" if recipe.active_sources else "sskt.method = 'scratch'"
        raise RecipeError(f"{wrong}: this recipe keeps no soft labels. There is nothing to fill.")
    device, stop = choose_device(recipe.train.device), StopSignal()
    with repeatable(device):
        sources = Sources(recipe, open_inputs(recipe, device, progress), device, progress, stop.raise_if_set)
        try:
            with stop.catching():
                return {q.source.name: sources.report(q, progress.say) for q in sources.questions}
        except StopRequested as request:
            raise Interrupted(
                "Stopped; the labels so far are kept. The same command goes on.", request.signum
            ) from None

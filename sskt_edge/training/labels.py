"""The sources' part of a training: by which engine each is asked, the store filled, the labels opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from sskt_edge.data.batches import unlabelled_passes
from sskt_edge.data.views import ViewPolicy
from sskt_edge.errors import Interrupted, RecipeError, StorageError
from sskt_edge.recipe.models import Recipe
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.runtime.session import Session
from sskt_edge.sources.choice import Choice, choose
from sskt_edge.sources.fill import check_space, fill
from sskt_edge.sources.labels import Logits, SoftLabels
from sskt_edge.sources.notices import notices
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.question import Question
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.form import form_of
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.store.stored import StoredLogits
from sskt_edge.sources.top_k import check_top_k
from sskt_edge.sources.wanted import LabelPlan, Wanted
from sskt_edge.training.device import choose_device
from sskt_edge.training.feed import joining
from sskt_edge.training.inputs import Inputs, open_inputs
from sskt_edge.training.repeatable import repeatable
from sskt_edge.training.signals import StopRequested, StopSignal

# A disk that damages what is written to it would be filled for ever.
_MOST_FILLS = 3


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
        self.store = _store(recipe.labels.store)
        self.wanted = _wanted(recipe, inputs)
        see = recipe.labels.see
        self.questions = tuple(
            Question(source, inputs.sides[source.name], see, self.wanted, device) for source in inputs.sources
        )

    def choose(self, pinned: Mapping[str, str]) -> dict[str, Choice]:
        """The engine of every source by its name; `pinned` names those that a resumed run began with.

        Raises:
            InputError, ParityError: as sources.choice.choose.
        """
        labels, store, progress, between = self._recipe.labels, self.store, self._progress, self._between
        with self._timed():
            return {
                q.source.name: choose(q, labels, store, pinned.get(q.source.name), progress, between)
                for q in self.questions
            }

    def labels(self, choices: Mapping[str, Choice], say: Callable[[str], None]) -> tuple[SoftLabels, ...]:
        """The soft labels of the labelled images, and of the unlabelled ones if there are any, the store filled.

        Raises:
            InputError, WorkError: as sources.fill.fill; or the disk damages what is written to it.
        """
        with self._timed():
            self.fill(choices, say)
            logits = {q.source.name: self._logits(q, choices[q.source.name], say) for q in self.questions}
            return tuple(
                SoftLabels(wanted, {name: parts[number] for name, parts in logits.items()})
                for number, wanted in enumerate(self.wanted)
            )

    def fill(self, choices: Mapping[str, Choice], say: Callable[[str], None]) -> dict[str, int]:
        """Fill the store with what is missing, and say before what it will cost; how many views each source was asked.

        Raises:
            InputError, WorkError: as sources.fill.fill.
            StorageError: the labels of all sources will not fit on the disk; none is asked.
        """
        for question in self.questions:
            self._say(question, choices[question.source.name], say)
        if self.store is not None:
            collections = [(q, self.collection(q, choices[q.source.name])) for q in self.questions]
            check_space(self.store.path, [(one, q.missing(one)) for q, one in collections if one is not None])
        return {q.source.name: self._fill(q, choices[q.source.name]) for q in self.questions}

    def collection(self, question: Question, choice: Choice) -> Collection | None:
        """Where the store keeps the labels; None if nothing is kept."""
        if self.store is None or choice.stored is not None:
            return choice.stored
        return question.collection(self.store, choice.engine, self._recipe.labels.top_k)

    def check_top_k(self, question: Question, choice: Choice, session: Session | None = None) -> None:
        """Refuse a labels.top_k that keeps too little of what a source says.

        Raises:
            RecipeError: it does.
        """
        top_k = form_of(question.source.classes, self._recipe.labels.top_k).top_k
        if top_k:
            session = session or question.source.open(choice.engine, question.side, self.wanted[0].plan.batch_size)
            check_top_k(question, session, top_k, self._recipe.sskt.temperature, self._progress, self._between)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def _say(self, question: Question, choice: Choice, say: Callable[[str], None]) -> None:
        collection = self.collection(question, choice)
        if self.store is None or collection is None:
            say(f"{question.source.name}: asked by {choice.engine.name} in every epoch ({choice.why})")
            return
        for line in notices(question, choice, collection, self.store):
            say(line)

    def _fill(self, question: Question, choice: Choice) -> int:
        collection = self.collection(question, choice)
        if collection is None:
            return 0
        recipe = self._recipe
        return fill(question, choice, collection, recipe.name, recipe.sskt.temperature, self._progress, self._between)

    def _logits(self, question: Question, choice: Choice, say: Callable[[str], None]) -> Sequence[Logits]:
        """What a source says of the labelled images, and of the unlabelled ones if there are any."""
        collection = self.collection(question, choice)
        if collection is None:
            return self._online(question, choice)
        return [self._opened(collection, wanted, question, choice, say) for wanted in self.wanted]

    def _opened(
        self,
        collection: Collection,
        wanted: Wanted,
        question: Question,
        choice: Choice,
        say: Callable[[str], None],
    ) -> StoredLogits:
        """The stored labels, verified: what a damaged shard held is asked again."""
        for fills_left in reversed(range(_MOST_FILLS)):
            stored = collection.open(wanted.keys, self._progress, self._between)
            if stored is not None:
                return stored
            if fills_left:
                self._say(question, choice, say)
                self._fill(question, choice)
        raise StorageError(
            f"What was written to '{collection.path}' was damaged when it was read, {_MOST_FILLS} times by now. Check "
            f"the disk, or name another labels.store."
        )

    def _online(self, question: Question, choice: Choice) -> Sequence[Logits]:
        name, batch = question.source.name, self.wanted[0].plan.batch_size
        session = question.source.open(choice.engine, question.side, batch)
        form = form_of(question.source.classes, self._recipe.labels.top_k)
        self.check_top_k(question, choice, session)
        return [
            OnlineLogits(name, session, question.side, form, wanted, self._progress, self._between)
            for wanted in self.wanted
        ]


def _store(name: str | Literal[False]) -> LabelStore | None:
    """Where labels are kept, if anywhere.

    Raises:
        RecipeError: there is a file of that name.
    """
    if not name:
        return None
    path = Path(name)
    if path.exists() and not path.is_dir():
        raise RecipeError(f"labels.store = '{name}' is a file. Name a folder: --set labels.store=FOLDER.")
    return LabelStore(path)


def _wanted(recipe: Recipe, inputs: Inputs) -> tuple[Wanted, ...]:
    """The labelled images' views, and the unlabelled ones' if there are any."""
    augment = recipe.data.augment
    policy = ViewPolicy(
        recipe.data.image_size, augment.crop_padding, augment.random_resized_crop, augment.horizontal_flip
    )
    plan = LabelPlan(policy, recipe.data.view_seed, recipe.labels.views, recipe.labels.batch_size)
    labelled = Wanted(inputs.images, plan, recipe.train.epochs)
    if inputs.unlabelled is None:
        return (labelled,)
    ratio = recipe.data.unlabelled_ratio
    per_epoch = sum(joining(len(inputs.images), recipe.train.batch_size, ratio))
    if per_epoch == 0:
        raise RecipeError(
            f"data.unlabelled_ratio = {ratio:g} adds no image to a batch of train.batch_size = "
            f"{recipe.train.batch_size}. Raise one of them, or leave out data.unlabelled."
        )
    passes, last = unlabelled_passes(len(inputs.unlabelled), per_epoch, recipe.train.seed, recipe.train.epochs)
    return labelled, Wanted(inputs.unlabelled, plan, passes, last)


def fill_store(recipe: Recipe, progress: Progress = QUIET) -> dict[str, dict[str, Any]]:
    """Fill the label store as a training of the recipe would, and train nothing.

    Returns:
        Source → "engine", "why", "views", "asked", "path".

    Raises:
        InputError: the recipe names what is not there or does not fit, or keeps no labels.
        ParityError: no engine that the recipe allows passes the gate.
        Interrupted: a signal came; what was asked is kept.
        StorageError: the disk is full, or will be; what was asked is kept.
    """
    if not recipe.active_sources:
        raise RecipeError("This recipe asks no source: sskt.method = 'scratch'. There is nothing to fill.")
    if not recipe.labels.store:
        raise RecipeError("This recipe keeps no soft labels: labels.store = false. Set it to a folder to fill one.")
    device, stop = choose_device(recipe.train.device), StopSignal()
    with repeatable(device):
        sources = Sources(recipe, open_inputs(recipe, device, progress), device, progress, stop.raise_if_set)
        try:
            with stop.catching():
                choices = sources.choose(pinned={})
                asked = sources.fill(choices, progress.say)
        except StopRequested as request:
            raise Interrupted(
                "Stopped; the labels so far are kept. The same command goes on.", request.signum
            ) from None
    filled = {}
    for question in sources.questions:
        name, choice = question.source.name, choices[question.source.name]
        told = {"engine": choice.engine.name, "why": choice.why, "views": question.views, "asked": asked[name]}
        collection = sources.collection(question, choice)
        filled[name] = {**told, "path": str(collection.path) if collection else None}
    return filled

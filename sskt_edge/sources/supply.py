"""The sources' part of a training: by which engine each is asked, the store filled, the labels opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sskt_edge.common.errors import RecipeError, StorageError
from sskt_edge.common.progress import Progress
from sskt_edge.inference.session import Session
from sskt_edge.recipe.models import LabelOptions
from sskt_edge.sources.engine_selection import Choice, choose
from sskt_edge.sources.fill import check_space, fill
from sskt_edge.sources.fill_messages import notices
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.soft_labels import Logits, SoftLabels
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.label_format import label_format
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.store.stored import StoredLogits
from sskt_edge.sources.top_k import check_top_k
from sskt_edge.sources.view_schedule import ViewSchedule

# A disk that damages what is written to it would be filled for ever.
_MOST_FILLS = 3


class Sources:
    """The sources of a training, with the views that it wants of them.

    Args:
        queries: what each source is asked; none for a training without sources.
        wanted: the labelled images' views, and the unlabelled ones' if there are any.
        labels: by which engines, and where the answers are kept.
        recipe: its name, for the list of the labels.
        temperature: T of the training, at which labels.top_k is judged.
        progress: shows bars.
        between: called before each batch of a source and while another process is waited for.

    Attributes:
        seconds: that were spent on choosing engines and on having the labels.
    """

    def __init__(
        self,
        queries: Sequence[LabelQuery],
        wanted: Sequence[ViewSchedule],
        labels: LabelOptions,
        recipe: str,
        temperature: float,
        progress: Progress,
        between: Callable[[], None],
    ) -> None:
        self.queries, self.wanted = tuple(queries), tuple(wanted)
        self._options, self._recipe, self._temperature = labels, recipe, temperature
        self._progress, self._between = progress, between
        self.seconds = 0.0
        self.store = _store(labels.store)

    def choose(self, pinned: Mapping[str, str]) -> dict[str, Choice]:
        """The engine of every source by its name; `pinned` names those that a resumed run began with.

        Raises:
            InputError, ParityError: as engine_selection.choose.
        """
        labels, store, progress, between = self._options, self.store, self._progress, self._between
        with self._timed():
            return {
                q.source.name: choose(q, labels, store, pinned.get(q.source.name), progress, between)
                for q in self.queries
            }

    def labels(self, choices: Mapping[str, Choice], say: Callable[[str], None]) -> tuple[SoftLabels, ...]:
        """The soft labels of the labelled images, and of the unlabelled ones if there are any, the store filled.

        Raises:
            InputError, WorkError: as sources.fill.fill; or the disk damages what is written to it.
        """
        with self._timed():
            self.fill(choices, say)
            logits = {q.source.name: self._logits(q, choices[q.source.name], say) for q in self.queries}
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
        for question in self.queries:
            self._say(question, choices[question.source.name], say)
        if self.store is not None:
            collections = [(q, self.collection(q, choices[q.source.name])) for q in self.queries]
            check_space(self.store.path, [(one, q.missing(one)) for q, one in collections if one is not None])
        return {q.source.name: self._fill(q, choices[q.source.name]) for q in self.queries}

    def collection(self, question: LabelQuery, choice: Choice) -> Collection | None:
        """Where the store keeps the labels; None if nothing is kept."""
        if self.store is None or choice.stored is not None:
            return choice.stored
        return question.collection(self.store, choice.engine, self._options.top_k)

    def check_top_k(self, question: LabelQuery, choice: Choice, session: Session | None = None) -> None:
        """Refuse a labels.top_k that keeps too little of what a source says.

        Raises:
            RecipeError: it does.
        """
        top_k = label_format(question.source.classes, self._options.top_k).top_k
        if top_k:
            session = session or question.source.open(choice.engine, question.side, self.wanted[0].plan.batch_size)
            check_top_k(question, session, top_k, self._temperature, self._progress, self._between)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def _say(self, question: LabelQuery, choice: Choice, say: Callable[[str], None]) -> None:
        collection = self.collection(question, choice)
        if self.store is None or collection is None:
            say(f"{question.source.name}: asked by {choice.engine.name} in every epoch ({choice.why})")
            return
        for line in notices(question, choice, collection, self.store):
            say(line)

    def _fill(self, question: LabelQuery, choice: Choice) -> int:
        collection = self.collection(question, choice)
        if collection is None:
            return 0
        return fill(question, choice, collection, self._recipe, self._temperature, self._progress, self._between)

    def _logits(self, question: LabelQuery, choice: Choice, say: Callable[[str], None]) -> Sequence[Logits]:
        """What a source says of the labelled images, and of the unlabelled ones if there are any."""
        collection = self.collection(question, choice)
        if collection is None:
            return self._online(question, choice)
        return [self._opened(collection, wanted, question, choice, say) for wanted in self.wanted]

    def _opened(
        self,
        collection: Collection,
        wanted: ViewSchedule,
        question: LabelQuery,
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

    def _online(self, question: LabelQuery, choice: Choice) -> Sequence[Logits]:
        name, batch = question.source.name, self.wanted[0].plan.batch_size
        session = question.source.open(choice.engine, question.side, batch)
        form = label_format(question.source.classes, self._options.top_k)
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

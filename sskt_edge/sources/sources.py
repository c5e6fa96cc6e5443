"""The sources of a training: by which engine each is asked, the store filled, the labels opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sskt_edge.common.errors import StorageError
from sskt_edge.common.progress import Progress
from sskt_edge.inference.session import Session
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engine_selection import EngineChoice, EngineSelector
from sskt_edge.sources.fill import check_space, fill
from sskt_edge.sources.fill_messages import fill_messages
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.soft_labels import LogitsReader, SoftLabels
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.sources.store.stored import StoredLogits
from sskt_edge.sources.top_k import check_top_k
from sskt_edge.sources.view_schedule import ViewSchedule

# A disk that damages what is written to it would be filled for ever.
_MOST_FILLS = 3


class Sources:
    """The sources of a training, with the views that it needs labels of.

    Args:
        queries: what each source is asked; none for a training without sources.
        schedules: the labelled images' views, and the unlabelled ones' if there are any.
        rules: which engines the recipe allows, and the gate's limits.
        store: where the answers are kept; None asks again in every epoch.
        recipe: its name, for the list of the labels.
        temperature: T of the training, at which labels.top_k is judged.
        progress: shows bars.

    Attributes:
        seconds: that were spent on choosing engines and on having the labels.
    """

    def __init__(
        self,
        queries: Sequence[LabelQuery],
        schedules: Sequence[ViewSchedule],
        rules: EngineRules,
        store: LabelStore | None,
        recipe: str,
        temperature: float,
        progress: Progress,
    ) -> None:
        self.queries, self.schedules = tuple(queries), tuple(schedules)
        self._rules, self._store = rules, store
        self._recipe, self._temperature, self._progress = recipe, temperature, progress
        self.seconds = 0.0

    def selector(self, query: LabelQuery) -> EngineSelector:
        """What chooses the engine of a source."""
        return EngineSelector(query, self._rules, self._store, self._progress)

    def choose(self, pinned: Mapping[str, str]) -> dict[str, EngineChoice]:
        """The engine of every source by its name; `pinned` names those that a resumed run began with.

        Raises:
            InputError, ParityError: as EngineSelector.choose.
        """
        with self._timed():
            return {q.source.name: self.selector(q).choose(pinned.get(q.source.name)) for q in self.queries}

    def labels(self, choices: Mapping[str, EngineChoice], say: Callable[[str], None]) -> tuple[SoftLabels, ...]:
        """The soft labels of the labelled images, and of the unlabelled ones if there are any, the store filled.

        Raises:
            InputError, WorkError: as sources.fill.fill; or the disk damages what is written to it.
        """
        with self._timed():
            self.fill(choices, say)
            logits = {q.source.name: self._logits(q, choices[q.source.name], say) for q in self.queries}
            return tuple(
                SoftLabels(schedule, {name: parts[number] for name, parts in logits.items()})
                for number, schedule in enumerate(self.schedules)
            )

    def fill(self, choices: Mapping[str, EngineChoice], say: Callable[[str], None]) -> dict[str, int]:
        """Fill the store with what is missing, and say before what it will cost; how many views each source was asked.

        Raises:
            InputError, WorkError: as sources.fill.fill.
            StorageError: the labels of all sources will not fit on the disk; none is asked.
        """
        for query in self.queries:
            self._say(query, choices[query.source.name], say)
        if self._store is not None:
            collections = [(q, self.collection(q, choices[q.source.name])) for q in self.queries]
            check_space(self._store.path, [(one, q.missing(one)) for q, one in collections if one is not None])
        return {q.source.name: self._fill(q, choices[q.source.name]) for q in self.queries}

    def collection(self, query: LabelQuery, choice: EngineChoice) -> Collection | None:
        """Where the store keeps the labels; None if nothing is kept."""
        if self._store is None or choice.stored is not None:
            return choice.stored
        return query.collection(self._store, choice.engine)

    def check_top_k(self, query: LabelQuery, choice: EngineChoice, session: Session | None = None) -> None:
        """Refuse a labels.top_k that keeps too little of what a source says.

        Args:
            query: the source and its views.
            choice: by which engine it is asked.
            session: the source; opened here if it is not given.

        Raises:
            RecipeError: it keeps too little.
        """
        if query.label_format.top_k:
            check_top_k(query, session or query.open(choice.engine), self._temperature, self._progress)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def _say(self, query: LabelQuery, choice: EngineChoice, say: Callable[[str], None]) -> None:
        collection = self.collection(query, choice)
        if self._store is None or collection is None:
            say(f"{query.source.name}: asked by {choice.engine.name} in every epoch ({choice.why})")
            return
        for line in fill_messages(query, choice, collection, self._store):
            say(line)

    def _fill(self, query: LabelQuery, choice: EngineChoice) -> int:
        collection = self.collection(query, choice)
        if collection is None:
            return 0
        return fill(query, choice, collection, self._recipe, self._temperature, self._progress)

    def _logits(self, query: LabelQuery, choice: EngineChoice, say: Callable[[str], None]) -> Sequence[LogitsReader]:
        """What a source says of the labelled images, and of the unlabelled ones if there are any."""
        collection = self.collection(query, choice)
        if collection is None:
            return self._online(query, choice)
        return [self._opened(collection, schedule, query, choice, say) for schedule in self.schedules]

    def _opened(
        self,
        collection: Collection,
        schedule: ViewSchedule,
        query: LabelQuery,
        choice: EngineChoice,
        say: Callable[[str], None],
    ) -> StoredLogits:
        """The stored labels, verified: what a damaged shard held is asked again."""
        for fills_left in reversed(range(_MOST_FILLS)):
            stored = collection.open(schedule.keys, self._progress)
            if stored is not None:
                return stored
            if fills_left:
                self._say(query, choice, say)
                self._fill(query, choice)
        raise StorageError(
            f"What was written to '{collection.path}' was damaged when it was read, {_MOST_FILLS} times by now. Check "
            f"the disk, or name another labels.store."
        )

    def _online(self, query: LabelQuery, choice: EngineChoice) -> Sequence[LogitsReader]:
        session = query.open(choice.engine)
        self.check_top_k(query, choice, session)
        return [OnlineLogits(query, session, schedule, self._progress) for schedule in self.schedules]

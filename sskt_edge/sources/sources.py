"""The sources of a training: choose their engines, fill the store, open the labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

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

# Without a limit, a disk that damages written data would be filled for ever.
_MOST_FILLS = 3


class Sources:
    """The sources of a training, with the views that it needs labels for.

    Args:
        queries: one query per source; empty for a training without sources.
        schedules: the views of the labelled images, and those of the unlabelled images if there are any.
        rules: source → which engines the recipe allows for it, and the gate's limits.
        store: the store of the answers; None queries again in every epoch.
        recipe: the recipe's name, for the list of labels.
        temperature: the training's T, at which labels.top_k is judged.
        progress: draws the bars.

    Attributes:
        seconds: the time spent on choosing engines and getting the labels.
    """

    def __init__(
        self,
        queries: Sequence[LabelQuery],
        schedules: Sequence[ViewSchedule],
        rules: Mapping[str, EngineRules],
        store: LabelStore | None,
        recipe: str,
        temperature: float,
        progress: Progress,
    ) -> None:
        self.queries, self.schedules = tuple(queries), tuple(schedules)
        self._rules, self._store = rules, store
        self._recipe, self._temperature, self._progress = recipe, temperature, progress
        self.seconds = 0.0

    def for_views(self, schedules: Sequence[ViewSchedule]) -> Sources:
        """The same sources, with other views."""
        queries = [replace(query, schedules=tuple(schedules)) for query in self.queries]
        return Sources(queries, schedules, self._rules, self._store, self._recipe, self._temperature, self._progress)

    def selector(self, query: LabelQuery) -> EngineSelector:
        """The selector of a source's engine."""
        return EngineSelector(query, self._rules[query.source.name], self._store, self._progress)

    def choose(self, pinned: Mapping[str, str]) -> dict[str, EngineChoice]:
        """Source → engine. `pinned` names the engines that a resumed run was started with.

        Raises:
            InputError, ParityError: as for EngineSelector.choose.
        """
        with self._timed():
            return {q.source.name: self.selector(q).choose(pinned.get(q.source.name)) for q in self.queries}

    def labels(self, choices: Mapping[str, EngineChoice], say: Callable[[str], None]) -> tuple[SoftLabels, ...]:
        """Fill the store. Returns the soft labels of the labelled images, and of the unlabelled ones if there are any.

        Raises:
            InputError, WorkError: as for sources.fill.fill; or the disk damages written data.
        """
        with self._timed():
            self.fill(choices, say)
            logits = {q.source.name: self._logits(q, choices[q.source.name], say) for q in self.queries}
            features = [q.source.name for q in self.queries if q.source.outputs == "features"]
            return tuple(
                SoftLabels(schedule, {name: parts[number] for name, parts in logits.items()}, features)
                for number, schedule in enumerate(self.schedules)
            )

    def fill(self, choices: Mapping[str, EngineChoice], say: Callable[[str], None]) -> dict[str, int]:
        """Announce the cost, then fill the store. Returns the number of views that each source was queried for.

        Raises:
            InputError, WorkError: as for sources.fill.fill.
            StorageError: the labels of all sources will not fit on the disk; no source is queried.
        """
        for query in self.queries:
            self._say(query, choices[query.source.name], say)
        if self._store is not None:
            collections = [(q, self.collection(q, choices[q.source.name])) for q in self.queries]
            check_space(self._store.path, [(one, q.missing(one)) for q, one in collections if one is not None])
        return {q.source.name: self._fill(q, choices[q.source.name]) for q in self.queries}

    def collection(self, query: LabelQuery, choice: EngineChoice) -> Collection | None:
        """The store's collection of the labels; None if nothing is kept."""
        if self._store is None or choice.stored is not None:
            return choice.stored
        return query.collection(self._store, choice.engine)

    def missing(self, query: LabelQuery, choice: EngineChoice) -> int:
        """The number of distinct views that the collection lacks; all of them if nothing is kept."""
        collection = self.collection(query, choice)
        return query.views if collection is None else query.missing(collection)

    def check_top_k(self, query: LabelQuery, choice: EngineChoice, session: Session | None = None) -> None:
        """Refuse a labels.top_k that keeps too little of a source's answers.

        Args:
            query: the source and its views.
            choice: the engine that it is queried with.
            session: the opened source; by default it is opened here.

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
            say(f"{query.source.name}: queried with {choice.engine.name} in every epoch ({choice.why})")
            return
        for line in fill_messages(query, choice, collection, self._store):
            say(line)

    def _fill(self, query: LabelQuery, choice: EngineChoice) -> int:
        collection = self.collection(query, choice)
        if collection is None:
            return 0
        return fill(query, choice, collection, self._recipe, self._temperature, self._progress)

    def _logits(self, query: LabelQuery, choice: EngineChoice, say: Callable[[str], None]) -> Sequence[LogitsReader]:
        """A source's logits for the labelled images, and for the unlabelled ones if there are any."""
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
        """The stored labels, verified. The labels of a damaged shard are computed again."""
        for fills_left in reversed(range(_MOST_FILLS)):
            stored = collection.open(schedule.keys, self._progress)
            if stored is not None:
                return stored
            if fills_left:
                self._say(query, choice, say)
                self._fill(query, choice)
        raise StorageError(
            f"Data written to '{collection.path}' were damaged when they were read again, {_MOST_FILLS} times so far. "
            f"Check the disk, or name another labels.store."
        )

    def _online(self, query: LabelQuery, choice: EngineChoice) -> Sequence[LogitsReader]:
        session = query.open(choice.engine)
        self.check_top_k(query, choice, session)
        return [OnlineLogits(query, session, schedule, self._progress) for schedule in self.schedules]

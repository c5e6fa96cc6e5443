"""The engines whose labels are stored already: one of them is used without a trial, to query nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engines import SourceEngine, engine_named_in, processor_of
from sskt_edge.sources.fill_record import JudgedBy, fill_records
from sskt_edge.sources.label_query import GATE_VIEWS, LabelQuery
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.manifest import Facts, plain
from sskt_edge.sources.store.store import LabelStore

# The largest number of views that an engine without a verdict may have left to query, so that a first try on few images
# does not settle the choice.
MOST_UNJUDGED = 8 * GATE_VIEWS
# A gate's verdict counts if it was on these images, or on a set that included at least this share of them.
_SAME_IMAGES = 0.1


class StoredEngine(NamedTuple):
    """An engine, the collection of its labels, and the number of the query's views that the collection lacks."""

    engine: SourceEngine
    collection: Collection
    missing: int


class StoredEngines:
    """The stored labels of a query, by engine.

    Args:
        query: the source and its views.
        rules: which engines the recipe allows, and the gate's limits.
        store: the store of labels.
    """

    def __init__(self, query: LabelQuery, rules: EngineRules, store: LabelStore) -> None:
        self._query, self._rules, self._store = query, rules, store

    def best(self, allowed: Sequence[SourceEngine]) -> StoredEngine | None:
        """The engine that has answered most of the query, provided that the gate's verdict on it counts; None if none.

        An engine that can no longer run here, since its library was removed, is used if it has answered all views.

        Args:
            allowed: the engines that run here and that the recipe allows.
        """
        best = None
        for engine in allowed:
            collection = self._query.collection(self._store, engine)
            missing = self._query.missing(collection)
            fewest = self._query.views if best is None else best.missing
            if missing < fewest and self.may_be_kept(engine, collection):
                best = StoredEngine(engine, collection, missing)
        if best is not None and best.missing == 0:
            return best
        return self.absent() or best

    def absent(self) -> StoredEngine | None:
        """All labels of the query by an engine that is not installed here but passed the gate; None if there are none.

        Everything that decides them except the library's version must match: the source, the views and the kind of
        processor.
        """
        query = self._query
        if query.top_k:  # to judge top_k, the engine would have to run
            return None
        here = query.engines()
        now = _without_engine(plain(query.facts(here[0])))
        for one in self._store.collections(skip_broken=True):
            engine = engine_named_in(one.facts.get("engine"))
            if engine is None or engine in here or one.top_k or one.classes != query.source.classes:
                continue
            facts = one.facts["engine"]
            processor = processor_of(engine, facts, query.device)
            if _without_engine(one.facts) != now or facts.get("processor") != processor:
                continue
            if engine.precision == "int8" and not query.has_int8_file_of(facts):
                continue
            if self._rules.allow(engine) and query.missing(one) == 0 and self.may_be_kept(engine, one):
                return StoredEngine(engine, one, 0)
        return None

    def may_be_kept(self, engine: SourceEngine, collection: Collection) -> bool:
        """Whether the engine passed the gate on these images when it filled the collection, by the current limits.

        Findings of a kind that the recipe's judge does not believe count for nothing: labels that were near enough to
        the reference's for a probe need not be near enough for a training that learns the logits.
        """
        is_judged = any(record.gate for record in fill_records(collection))
        if engine == self._query.source.engines()[0]:
            return is_judged or self._query.missing(collection) <= MOST_UNJUDGED
        return any(self._passed(by, collection) for by in self._rules.judge.believes)

    def _passed(self, by: JudgedBy, collection: Collection) -> bool:
        """Whether all findings of one kind are accepted today, and one is about these images."""
        records = [record for record in fill_records(collection) if record.gate]
        own = [record for record in records if record.gate and record.gate.judged_by == by]
        now = self._query.images_sha256
        on_these_images = (
            bool(by.labelled)  # it says itself which images they are
            or any(record.images_sha256 == now for record in own)
            # The share of known images says nothing if some of them were let in by another kind of finding.
            or (len(own) == len(records) and self._query.known_images(collection) >= _SAME_IMAGES)
        )
        accepts = self._rules.judge.accepts
        return bool(own) and on_these_images and all(accepts(record.gate) for record in own if record.gate)


def _without_engine(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if name != "engine"}

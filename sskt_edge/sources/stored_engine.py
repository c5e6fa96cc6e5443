"""Whose labels a store has already: the engine that is taken without a trial, so that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sskt_edge.recipe.models import LabelOptions
from sskt_edge.sources.engines import SourceEngine, engine_named_in, processor_of
from sskt_edge.sources.fill_record import FillRecord, fill_records
from sskt_edge.sources.label_query import GATE_VIEWS, LabelQuery
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.manifest import Facts, plain
from sskt_edge.sources.store.store import LabelStore

# What an engine that was never judged may have left to ask, so that a first try on a few images does not bind to it.
MOST_UNJUDGED = 8 * GATE_VIEWS
# A gate's verdict counts if it was on these images, or on others that so great a part of these was among.
_SAME_IMAGES = 0.1


class Stored(NamedTuple):
    """An engine, the collection of its labels, and how many views of the question that lacks."""

    engine: SourceEngine
    collection: Collection
    missing: int


def stored_engine(
    question: LabelQuery, labels: LabelOptions, store: LabelStore, allowed: Sequence[SourceEngine]
) -> Stored | None:
    """The engine that has answered most of the question, if the gate's verdict on it counts; None if there is none.

    One that cannot run here any more, since its library was removed, is taken if it has answered all of the question.

    Args:
        question: what is asked.
        labels: the recipe's part: the gate's limits.
        store: where labels are.
        allowed: the engines that are here and that the recipe allows.
    """
    best = None
    for engine in allowed:
        collection = question.collection(store, engine, labels.top_k)
        missing = question.missing(collection)
        fewest = question.views if best is None else best.missing
        if missing < fewest and may_be_kept(collection, question, engine, labels):
            best = Stored(engine, collection, missing)
    if best is not None and best.missing == 0:
        return best
    return complete_of_absent_engine(question, labels, store) or best


def complete_of_absent_engine(question: LabelQuery, labels: LabelOptions, store: LabelStore) -> Stored | None:
    """All labels of the question by an engine that is not here and passed the gate; None if there are none.

    What decides them but the library's version must be as it is here: the same source, views and kind of processor.
    """
    if labels.top_k:  # to judge top_k, the engine would have to run
        return None
    here = question.source.engines()
    now = _without_engine(plain(question.facts(here[0])))
    for one in store.collections(skip_broken=True):
        engine = engine_named_in(one.facts.get("engine"))
        if engine is None or engine in here or one.top_k or one.classes != question.source.classes:
            continue
        facts = one.facts["engine"]
        if _without_engine(one.facts) != now or facts.get("processor") != processor_of(engine, facts, question.device):
            continue
        if is_meant(engine, labels) and question.missing(one) == 0 and may_be_kept(one, question, engine, labels):
            return Stored(engine, one, 0)
    return None


def may_be_kept(collection: Collection, question: LabelQuery, engine: SourceEngine, labels: LabelOptions) -> bool:
    """Whether the engine passed the gate when it filled the collection, by the limits of now and on these images."""
    is_reference, told = engine == question.source.engines()[0], fill_records(collection)
    gates = [one.gate for one in told if one.gate]
    if not gates:
        return is_reference and question.missing(collection) <= MOST_UNJUDGED
    if not is_reference and not _judged_on_these_images(collection, question, told):
        return False
    now = labels.gate
    return all(
        then.kl <= now.kl and then.agreement >= now.agreement and then.near_tie >= now.near_tie for then in gates
    )


def _judged_on_these_images(collection: Collection, question: LabelQuery, told: Sequence[FillRecord]) -> bool:
    if any(one.gate and one.images_sha256 == question.images_sha256 for one in told):
        return True
    return question.known_images(collection) >= _SAME_IMAGES


def is_meant(engine: SourceEngine, labels: LabelOptions) -> bool:
    """Whether the recipe's labels.engine and labels.precision allow it."""
    return labels.engine in ("auto", engine.backend) and labels.precision in ("auto", engine.precision)


def _without_engine(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if name != "engine"}

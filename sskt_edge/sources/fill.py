"""Fill the store: query only the views that it lacks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from sskt_edge.common.errors import StorageError
from sskt_edge.common.progress import Progress
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.fill_record import FillRecord, GateRecord, fill_records
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.query_source import query_source
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.top_k import check_top_k


def fill(
    query: LabelQuery,
    choice: EngineChoice,
    collection: Collection,
    recipe: str,
    temperature: float,
    progress: Progress,
) -> int:
    """Query every view that the collection lacks. Returns the number of views that were queried.

    If another process fills the same collection, wait for it; its labels are not queried again. All answers are kept,
    whatever ends the filling.

    Args:
        query: the source and its views.
        choice: the engine.
        collection: the collection that receives the labels.
        recipe: the recipe's name, for the list of labels.
        temperature: the training's T, at which top_k is judged.
        progress: draws the bar.

    Raises:
        InputError: labels.top_k keeps too little of this source's answers, or its logits cannot be kept.
        StorageError: the disk is full.
        WorkError: the engine fails.
    """
    if _is_done(query, collection, temperature):  # before the lock: it neither waits nor writes
        return 0
    session = query.open(choice.engine)
    if collection.top_k:  # before the lock too: a refusal leaves no trace
        check_top_k(query, session, temperature, progress)
    with collection.held(progress):
        if _is_done(query, collection, temperature):
            return 0
        missing = query.missing(collection)
        record = record_of(query, choice, recipe, temperature).model_dump()
        with progress.bar(f"query {query.source.name}", missing) as bar, collection.writer(record) as writer:
            for schedule in query.schedules:
                lacking = schedule.distinct[collection.missing(schedule.keys[schedule.distinct])]
                for slots, logits in query_source(session, query.source_view, schedule, lacking):
                    writer.add(schedule.keys[slots], logits)
                    bar.advance(len(slots))
        if missing == 0:  # only top_k was judged
            collection.note(record)
    return missing


def check_space(store: Path, parts: Sequence[tuple[Collection, int]]) -> None:
    """Refuse labels that do not fit on the store's disk, before hours are spent on them.

    Args:
        store: the store's folder, which need not exist.
        parts: for each source, the collection that receives its labels, and their number.

    Raises:
        StorageError: together they do not fit.
    """
    folder = next(path for path in (store, *store.absolute().parents) if path.exists())
    rows = sum(count for _, count in parts)
    free, needed = shutil.disk_usage(folder).free, sum(count * collection.row_bytes for collection, count in parts)
    if needed > free:
        raise StorageError(
            f"{rows:,} soft labels take {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free at '{folder}'. "
            f"Free some space, name another labels.store, lower labels.views, or keep fewer logits: labels.top_k = 50."
        )


def record_of(query: LabelQuery, choice: EngineChoice, recipe: str, temperature: float) -> FillRecord:
    """The record of a filling, which is kept with its labels."""
    verdict = choice.verdict
    return FillRecord(
        recipe=recipe,
        source=query.source.name,
        views=query.schedules[0].plan.views_as_json(),
        images=sum(len(schedule.images) for schedule in query.schedules),
        images_sha256=query.images_sha256,
        temperature=temperature,
        threads=torch.get_num_threads(),
        images_per_second=choice.images_per_second,
        gate=GateRecord.model_validate(verdict, from_attributes=True) if verdict else None,
    )


def _is_done(query: LabelQuery, collection: Collection, temperature: float) -> bool:
    """Whether nothing is missing, and top_k has been judged at this temperature."""
    judged = not collection.top_k or temperature in [record.temperature for record in fill_records(collection)]
    return judged and query.missing(collection) == 0

"""Filling the store: the views that it lacks are asked for, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from sskt_edge.common.errors import StorageError
from sskt_edge.common.progress import Progress
from sskt_edge.sources.engine_selection import Choice
from sskt_edge.sources.fill_record import FillRecord, GateRecord, fill_records
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.query_source import ask
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.top_k import check_top_k


def fill(
    question: LabelQuery,
    choice: Choice,
    collection: Collection,
    recipe: str,
    temperature: float,
    progress: Progress,
    between: Callable[[], None],
) -> int:
    """Ask for every wanted view that the collection lacks; how many were asked.

    Another process that fills the same collection is waited for, and what it has asked is not asked again.

    Args:
        question: the source and its views.
        choice: by which engine.
        collection: where the labels go.
        recipe: its name, for the list of the labels.
        temperature: T of the training, at which top_k is judged.
        progress: shows how far it is.
        between: called before each batch and while waiting, so that it can be interrupted; what was asked is kept.

    Raises:
        InputError: labels.top_k keeps too little of what this source says, or its logits cannot be kept.
        StorageError: the disk is full; what was asked is kept.
        WorkError: the engine fails.
    """
    if _is_done(question, collection, temperature):  # before the lock: it neither waits nor writes
        return 0
    session = question.source.open(choice.engine, question.side, question.wanted[0].plan.batch_size)
    if collection.top_k:  # before the lock too: what is refused leaves no trace
        check_top_k(question, session, collection.top_k, temperature, progress, between)
    with collection.held(progress, between):
        if _is_done(question, collection, temperature):
            return 0
        missing = question.missing(collection)
        told = _told(question, choice, recipe, temperature).model_dump()
        with progress.bar(f"ask {question.source.name}", missing) as bar, collection.writer(told) as writer:
            for wanted in question.wanted:
                lacking = wanted.distinct[collection.missing(wanted.keys[wanted.distinct])]
                for places, logits in ask(session, question.side, wanted, lacking, between):
                    writer.add(wanted.keys[places], logits)
                    bar.advance(len(places))
        if missing == 0:  # top_k alone was judged
            collection.note(told)
    return missing


def check_space(store: Path, wanted: Sequence[tuple[Collection, int]]) -> None:
    """Refuse labels that do not fit on the store's disk, before hours are spent on them.

    Args:
        store: its folder, which need not be there.
        wanted: of each source where its labels will go, and how many.

    Raises:
        StorageError: together they do not fit.
    """
    folder = next(path for path in (store, *store.absolute().parents) if path.exists())
    rows = sum(count for _, count in wanted)
    free, needed = shutil.disk_usage(folder).free, sum(count * collection.row_bytes for collection, count in wanted)
    if needed > free:
        raise StorageError(
            f"{rows:,} soft labels take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free at '{folder}'. Free "
            f"some space, name another labels.store, take fewer labels.views, or keep less of each: labels.top_k = 50."
        )


def _is_done(question: LabelQuery, collection: Collection, temperature: float) -> bool:
    """Whether nothing is missing, and top_k has been judged at this temperature."""
    judged = not collection.top_k or temperature in [told.temperature for told in fill_records(collection)]
    return judged and question.missing(collection) == 0


def _told(question: LabelQuery, choice: Choice, recipe: str, temperature: float) -> FillRecord:
    verdict = choice.verdict
    return FillRecord(
        recipe=recipe,
        source=question.source.name,
        views=question.wanted[0].plan.views_as_json(),
        images=sum(len(wanted.images) for wanted in question.wanted),
        images_sha256=question.images_sha256,
        temperature=temperature,
        threads=torch.get_num_threads(),
        images_per_second=choice.images_per_second,
        gate=GateRecord.model_validate(verdict, from_attributes=True) if verdict else None,
    )

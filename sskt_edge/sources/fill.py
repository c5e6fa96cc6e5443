"""Filling the store: the views that it lacks are asked for, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sskt_edge.errors import RecipeError, StorageError
from sskt_edge.runtime.progress import Progress
from sskt_edge.runtime.session import Session
from sskt_edge.sources.ask import ask
from sskt_edge.sources.choice import Choice, Question
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.form import kl_of_top_k, smallest_k

# A label of k logits may differ from the whole one by so much, as mean KL of the softmax at the recipe's T, in nats.
TOP_K_LIMIT = 0.01


def fill(
    question: Question,
    choice: Choice,
    collection: Collection,
    note: Mapping[str, Any],
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
        note: written beside the labels, for whoever lists them.
        temperature: T of the training, at which top_k is judged.
        progress: shows how far it is.
        between: called before each batch and while waiting, so that it can be interrupted; what was asked is kept.

    Raises:
        RecipeError: labels.top_k keeps too little of what this source says.
        StorageError: the disk is full, or will be; what was asked is kept.
        WorkError: the engine fails.
    """
    with collection.held(progress, between):
        missing = question.missing(collection)
        if missing == 0:
            return 0
        check_space(collection, missing)
        size = question.wanted[0].plan.batch_size
        session = question.source.open(choice.engine, question.side, size)
        if collection.top_k:
            _check_top_k(question, session, collection, temperature)
        name = question.source.name
        told = {**_told(question, choice), **note}
        with progress.bar(f"ask {name}", missing) as bar, collection.writer(told) as writer:
            for wanted in question.wanted:
                lacking = wanted.distinct[collection.missing(wanted.keys[wanted.distinct])]
                for places, logits in ask(session, question.side, wanted, lacking, between):
                    writer.add(wanted.keys[places], logits)
                    bar.advance(len(places))
    return missing


def check_space(collection: Collection, rows: int) -> None:
    """Refuse labels that do not fit on the disk, before hours are spent on them.

    Raises:
        StorageError: they do not fit.
    """
    folder = next(path for path in (collection.path, *collection.path.absolute().parents) if path.exists())
    free, needed = shutil.disk_usage(folder).free, rows * collection.row_bytes
    if needed > free:
        raise StorageError(
            f"{rows:,} soft labels take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free at '{folder}'. Free "
            f"some space, name another labels.store, take fewer labels.views, or keep less of each: labels.top_k = 50."
        )


def _told(question: Question, choice: Choice) -> dict[str, Any]:
    """What is written beside the labels for whoever lists them."""
    plan, verdict = question.wanted[0].plan, choice.verdict
    return {
        "source": question.source.name,
        "views": plan.views,
        "view_seed": plan.seed,
        "policy": plan.policy._asdict(),
        "images": sum(len(wanted.images) for wanted in question.wanted),
        "images_per_second": verdict.images_per_second if verdict else None,
        "gate": {"kl": verdict.kl, "agreement": verdict.agreement} if verdict else None,
    }


def _check_top_k(question: Question, session: Session, collection: Collection, temperature: float) -> None:
    logits = np.concatenate([session.run(batch) for batch in question.sample()])
    lost = kl_of_top_k(logits, collection.top_k, temperature)
    if lost > TOP_K_LIMIT:
        enough = smallest_k(logits, temperature, TOP_K_LIMIT)
        raise RecipeError(
            f"labels.top_k = {collection.top_k}: of what '{question.source.name}' says too much is lost, a KL of "
            f"{lost:.3f} at T = {temperature:g} (at most {TOP_K_LIMIT}). The smallest that passes is {enough} of "
            f"{logits.shape[1]}; 0 keeps all."
        )

"""Check that labels.top_k keeps enough of a source's answers."""

from __future__ import annotations

import numpy as np

from sskt_edge.common.errors import RecipeError
from sskt_edge.common.progress import Progress
from sskt_edge.inference.session import Session
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.store.label_format import kl_of_top_k, smallest_k

# The largest loss from keeping k logits of a label: the mean KL of the softmax at the recipe's T, in nats.
TOP_K_LIMIT = 0.01


def check_top_k(query: LabelQuery, session: Session, temperature: float, progress: Progress) -> None:
    """Query a sample of the views, refuse the query's top_k if too much is lost, and otherwise report the loss.

    Args:
        query: the source and its views; its top_k is below the number of classes.
        session: the opened source.
        temperature: the training's T.
        progress: reports the loss.

    Raises:
        RecipeError: too much is lost; the message gives the smallest k that passes.
    """
    name, top_k = query.source.name, query.top_k
    answers, sample = [], query.sample()
    with progress.bar(f"{name}, top_k", len(sample)) as bar:
        for batch in sample:
            answers.append(session.run(batch))
            bar.advance()
    logits = np.concatenate(answers)
    lost = kl_of_top_k(logits, top_k, temperature)
    if lost > TOP_K_LIMIT:
        enough = smallest_k(logits, temperature, TOP_K_LIMIT)
        raise RecipeError(
            f"labels.top_k = {top_k} loses too much of the answers of '{name}': a KL of {lost:.3f} at "
            f"T = {temperature:g} (at most {TOP_K_LIMIT}). The smallest top_k that passes is {enough} of "
            f"{logits.shape[1]}; 0 keeps all."
        )
    progress.say(f"{name}: top_k = {top_k} loses a KL of {lost:.4f} at T = {temperature:g}")

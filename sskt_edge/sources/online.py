"""Query soft labels during the training, and keep none beyond the current views."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.progress import Progress
from sskt_edge.inference.session import Session
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.query_source import query_source
from sskt_edge.sources.store.label_format import Arrays
from sskt_edge.sources.view_schedule import ViewSchedule


def views_asked(schedule: ViewSchedule) -> int:
    """The number of views that a whole training queries from a source with `OnlineLogits`."""
    passes = 1 if schedule.numbers == 1 else schedule.passes
    return sum(len(schedule.slots_of(number % schedule.numbers)) for number in range(passes))


class OnlineLogits:
    """A source's logits for the views of a schedule, in the store's format, so that they equal the store's bit for bit.

    Each view number is queried as a whole, over all images in order, so that the training's batches cannot change a
    bit.

    Args:
        query: the source, and how views are shown to it.
        session: the source, opened.
        schedule: one of the query's.
        progress: draws a bar for each view number.
    """

    def __init__(self, query: LabelQuery, session: Session, schedule: ViewSchedule, progress: Progress) -> None:
        self._query, self._session, self._schedule, self._progress = query, session, schedule, progress
        self._format = query.label_format
        self._kept: dict[int, Arrays] = {}

    def read(self, slots: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,C].

        Raises:
            NetworkError: a logit is not finite, or too large for float16.
        """
        numbers, within = np.divmod(slots, len(self._schedule.images))
        # A batch of unlabelled images may hold the end of one pass and the start of the next.
        self._kept = {int(number): self._of(int(number)) for number in np.unique(numbers)}
        read = np.empty((len(slots), self._format.classes), dtype=np.float32)
        for number, arrays in self._kept.items():
            here = numbers == number
            read[here] = self._format.unpack({name: array[within[here]] for name, array in arrays.items()})
        return read

    def _of(self, number: int) -> Arrays:
        """The packed logits of every image that has a slot in this view number."""
        if number in self._kept:
            return self._kept[number]
        slots, packed = self._schedule.slots_of(number), []
        with self._progress.bar(f"query {self._query.source.name}, view {number + 1}", len(slots)) as bar:
            for part, logits in query_source(self._session, self._query.source_view, self._schedule, slots):
                packed.append(self._format.pack(logits))
                bar.advance(len(part))
        return {name: np.concatenate([arrays[name] for arrays in packed]) for name in packed[0]}

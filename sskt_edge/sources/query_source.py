"""Query a source for views, in batches that are always full."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sskt_edge.inference.session import Session
from sskt_edge.sources.view_schedule import ViewSchedule
from sskt_edge.sources.views.source_view import SourceView


def query_source(
    session: Session, source_view: SourceView, schedule: ViewSchedule, slots: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Yield (slots [b], logits float32 [b,C]) until all slots have been answered.

    Args:
        session: the source; it takes uint8 [batch,size,size,3].
        source_view: how views are shown to it.
        schedule: the schedule of the views.
        slots: the slots to query.
    """
    batch_size = schedule.plan.batch_size
    for start in range(0, len(slots), batch_size):
        part = slots[start : start + batch_size]
        full = np.resize(part, batch_size)
        yield part, session.run(view_batch(source_view, schedule, full))[: len(part)]


def view_batch(source_view: SourceView, schedule: ViewSchedule, slots: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The views in these slots, as they are shown to a source. [B] → uint8 [B,size,size,3]."""
    return source_view.batch(schedule.images, schedule.rows(slots), schedule.views(slots))

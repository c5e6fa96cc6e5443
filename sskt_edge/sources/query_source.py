"""A source asked about wanted views, in batches that are always full."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.cut import cut_views
from sskt_edge.inference.session import Session
from sskt_edge.sources.view_schedule import ViewSchedule


def ask(
    session: Session, side: int, wanted: ViewSchedule, places: NDArray[np.intp], between: Callable[[], None]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Yield (places [b], logits float32 [b,C]) until all places are asked.

    Args:
        session: the source; it takes uint8 [batch,side,side,3].
        side: of the squares that it sees.
        wanted: whose views.
        places: which of them.
        between: called before each batch, so that long passes can be interrupted.
    """
    size = wanted.plan.batch_size
    for start in range(0, len(places), size):
        between()
        part = places[start : start + size]
        yield part, session.run(view_batch(side, wanted, np.resize(part, size)))[: len(part)]


def view_batch(side: int, wanted: ViewSchedule, places: NDArray[np.intp]) -> NDArray[np.uint8]:
    """[B] → uint8 [B,side,side,3]: the views at these places as a source sees them."""
    rows = wanted.rows(places)
    return cut_views(wanted.images.squares[side], rows, wanted.views(places), wanted.plan.policy.side)

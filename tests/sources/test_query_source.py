"""A source is asked in batches of one size, about the views in the slots that are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.sources.query_source import query_source, view_batch
from tests.sources.queries import BATCH, COUNT, SIZE, Counted, label_query, small_source, view_schedule


def test_a_view_is_cut_from_the_square_that_the_source_is_shown() -> None:
    schedule, slots = view_schedule(), np.array([11, 3, 19])
    for size in (SIZE, 2 * SIZE):
        rows = slots % COUNT
        expected = cut_views(schedule.images.resized[size], rows, schedule.views(slots), SIZE)
        batch = view_batch(label_query(small_source(), size=size).source_view, schedule, slots)
        assert batch.shape == (3, size, size, 3)
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("count", [1, BATCH, 7])
def test_every_batch_has_the_same_size_and_every_slot_its_answer(count: int) -> None:
    source, schedule = Counted(small_source()), view_schedule()
    query = label_query(source, schedule)
    session = query.open(source.engines()[0])
    slots = np.random.default_rng(0).permutation(2 * COUNT)[:count]
    answers = list(query_source(session, query.source_view, schedule, slots))
    assert source.batches == [BATCH] * -(-count // BATCH)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in answers]), slots)
    alone = np.concatenate(
        [session.run(view_batch(query.source_view, schedule, np.full(BATCH, slot)))[:1] for slot in slots]
    )
    np.testing.assert_array_equal(np.concatenate([logits for _, logits in answers]), alone)

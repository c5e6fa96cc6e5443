"""A source is asked in batches of one size, about the views at the places that are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.data.cut import cut_views
from sskt_edge.sources.query_source import ask, view_batch
from tests.sources.questions import BATCH, COUNT, SIDE, Counted, small_source, wanted


def test_a_view_is_cut_from_the_square_that_the_source_sees() -> None:
    asked, places = wanted(), np.array([11, 3, 19])
    for side in (SIDE, 2 * SIDE):
        rows = places % COUNT
        expected = cut_views(asked.images.squares[side], rows, asked.views(places), SIDE)
        batch = view_batch(side, asked, places)
        assert batch.shape == (3, side, side, 3)
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("count", [1, BATCH, 7])
def test_every_batch_has_the_same_size_and_every_place_its_answer(count: int) -> None:
    source, asked = Counted(small_source()), wanted()
    session = source.open(source.engines()[0], SIDE, BATCH)
    places = np.random.default_rng(0).permutation(2 * COUNT)[:count]
    answers = list(ask(session, SIDE, asked, places, lambda: None))
    assert source.batches == [BATCH] * -(-count // BATCH)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in answers]), places)
    alone = np.concatenate([session.run(view_batch(SIDE, asked, np.full(BATCH, place)))[:1] for place in places])
    np.testing.assert_array_equal(np.concatenate([logits for _, logits in answers]), alone)


def test_asking_stops_between_batches() -> None:
    source = Counted(small_source())
    session = source.open(source.engines()[0], SIDE, BATCH)

    def stop_after_one() -> None:
        if source.batches:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ask(session, SIDE, wanted(), np.arange(COUNT), stop_after_one))
    assert source.batches == [BATCH]

"""Labels asked again: rounded as the store rounds them, a view number at a time, and none asked twice in a row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sskt_edge.common.errors import NetworkError
from sskt_edge.common.progress import QUIET
from sskt_edge.sources.online import OnlineLogits, views_asked
from sskt_edge.sources.query_source import view_batch
from sskt_edge.sources.store.label_format import label_format
from sskt_edge.sources.view_schedule import ViewSchedule
from tests.sources.questions import BATCH, COUNT, SIDE, Counted, small_source, wanted

PASS = [BATCH] * -(-COUNT // BATCH)


def online(source: Counted, asked: ViewSchedule) -> OnlineLogits:
    session = source.open(source.engines()[0], SIDE, BATCH)
    return OnlineLogits("small", session, SIDE, label_format(source.classes, 0), asked, QUIET, lambda: None)


def test_a_label_is_what_the_source_says_of_the_view_as_float16() -> None:
    source, asked = Counted(small_source()), wanted()
    session = source.open(source.engines()[0], SIDE, 2 * COUNT)
    said = session.run(view_batch(SIDE, asked, np.arange(2 * COUNT)))
    places = np.array([13, 2, 19, 2])
    np.testing.assert_array_equal(
        online(source, asked).read(places), said.astype(np.float16).astype(np.float32)[places]
    )


def test_an_epoch_asks_about_its_views_once_whatever_the_batches() -> None:
    source, asked = Counted(small_source()), wanted(views="fresh", turns=3)
    labels = online(source, asked)
    for epoch in range(3):
        for batch in np.array_split(np.random.default_rng(epoch).permutation(COUNT), 4):
            labels.read(asked.places(np.full(len(batch), epoch), batch))
    assert source.batches == 3 * PASS
    assert views_asked(asked) == 3 * COUNT


def test_a_batch_between_two_passes_asks_about_none_again() -> None:
    source, asked = Counted(small_source()), wanted(views="fresh", turns=2)
    labels = online(source, asked)
    for places in ([0, 9], [9, 10], [10, 19]):
        labels.read(np.array(places))
    assert source.batches == 2 * PASS


def test_of_a_last_pass_that_meets_some_images_those_alone_are_asked() -> None:
    source, whole = Counted(small_source()), wanted(views="fresh", turns=2)
    asked = replace(whole, last=np.array([3, 8]))
    labels = online(source, asked)
    turns, rows = np.array([0, 1, 1]), np.array([3, 8, 3])
    said = labels.read(asked.places(turns, rows))
    assert source.batches == [*PASS, BATCH]
    assert views_asked(asked) == COUNT + 2
    np.testing.assert_array_equal(said, online(Counted(small_source()), whole).read(whole.places(turns, rows)))


def test_a_single_view_is_asked_about_once() -> None:
    source, asked = Counted(small_source()), wanted(views=1, turns=5)
    labels = online(source, asked)
    for epoch in range(5):
        labels.read(asked.places(np.full(COUNT, epoch), np.arange(COUNT)))
    assert source.batches == PASS
    assert views_asked(asked) == COUNT


def test_logits_that_the_store_would_refuse_are_refused() -> None:
    source = small_source()
    source.network.get_parameter("6.bias").data.fill_(1e6)
    with pytest.raises(NetworkError, match=r"such as 1.*labels\.precision = 'fp32'"):
        online(Counted(source), wanted()).read(np.array([0]))

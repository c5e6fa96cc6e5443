"""Labels asked again: rounded as the store rounds them, a view number at a time, and none asked twice in a row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sskt_edge.common.errors import NetworkError
from sskt_edge.common.progress import QUIET
from sskt_edge.sources.online import OnlineLogits, views_asked
from sskt_edge.sources.query_source import view_batch
from sskt_edge.sources.view_schedule import ViewSchedule
from tests.sources.queries import BATCH, COUNT, SIZE, Counted, label_query, small_source, view_schedule

PASS = [BATCH] * -(-COUNT // BATCH)


def online(source: Counted, schedule: ViewSchedule) -> OnlineLogits:
    query = label_query(source, schedule)
    return OnlineLogits(query, query.open(source.engines()[0]), schedule, QUIET)


def test_a_label_is_what_the_source_says_of_the_view_as_float16() -> None:
    source, schedule = Counted(small_source()), view_schedule()
    session = source.open(source.engines()[0], SIZE, 2 * COUNT)
    said = session.run(view_batch(label_query(source).source_view, schedule, np.arange(2 * COUNT)))
    slots = np.array([13, 2, 19, 2])
    np.testing.assert_array_equal(
        online(source, schedule).read(slots), said.astype(np.float16).astype(np.float32)[slots]
    )


def test_an_epoch_asks_about_its_views_once_whatever_the_batches() -> None:
    source, schedule = Counted(small_source()), view_schedule(views="fresh", passes=3)
    labels = online(source, schedule)
    for epoch in range(3):
        for batch in np.array_split(np.random.default_rng(epoch).permutation(COUNT), 4):
            labels.read(schedule.slots(np.full(len(batch), epoch), batch))
    assert source.batches == 3 * PASS
    assert views_asked(schedule) == 3 * COUNT


def test_a_batch_between_two_passes_asks_about_none_again() -> None:
    source, schedule = Counted(small_source()), view_schedule(views="fresh", passes=2)
    labels = online(source, schedule)
    for slots in ([0, 9], [9, 10], [10, 19]):
        labels.read(np.array(slots))
    assert source.batches == 2 * PASS


def test_of_a_last_pass_that_meets_some_images_those_alone_are_asked() -> None:
    source, whole = Counted(small_source()), view_schedule(views="fresh", passes=2)
    schedule = replace(whole, last=np.array([3, 8]))
    labels = online(source, schedule)
    passes, rows = np.array([0, 1, 1]), np.array([3, 8, 3])
    said = labels.read(schedule.slots(passes, rows))
    assert source.batches == [*PASS, BATCH]
    assert views_asked(schedule) == COUNT + 2
    np.testing.assert_array_equal(said, online(Counted(small_source()), whole).read(whole.slots(passes, rows)))


def test_a_single_view_is_asked_about_once() -> None:
    source, schedule = Counted(small_source()), view_schedule(views=1, passes=5)
    labels = online(source, schedule)
    for epoch in range(5):
        labels.read(schedule.slots(np.full(COUNT, epoch), np.arange(COUNT)))
    assert source.batches == PASS
    assert views_asked(schedule) == COUNT


def test_logits_that_the_store_would_refuse_are_refused() -> None:
    source = small_source()
    source.network.get_parameter("6.bias").data.fill_(1e6)
    with pytest.raises(NetworkError, match=r"such as 1.*labels\.precision = 'fp32'"):
        online(Counted(source), view_schedule()).read(np.array([0]))

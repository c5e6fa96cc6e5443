"""A step's batch: views of labelled images, then of unlabelled ones, each with what the sources say of that view."""

from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.data.batches import epoch_batches, joining
from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.data.inputs.image.image import IMAGE
from sskt_edge.data.inputs.image.views import draw_views
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.training.feed import Feed, Unlabelled
from tests.sources.queries import COUNT, MOVED, SIZE, image_set, label_query, small_source, view_schedule

SOURCE = small_source()
SESSION = label_query(SOURCE).open(SOURCE.engines()[0])
FURTHER = image_set(7, first=COUNT)


def soft_labels(images: ImageSet, passes: int) -> SoftLabels:
    schedule = view_schedule(images, views="fresh", passes=passes)
    online = OnlineLogits(label_query(SOURCE, schedule), SESSION, schedule, QUIET)
    return SoftLabels(schedule, {"small": online})


def feed(ratio: float | None = None, batch_size: int = 4) -> Feed:
    images = image_set()
    unlabelled = None if ratio is None else Unlabelled(FURTHER, soft_labels(FURTHER, 20), ratio)
    return Feed(images, soft_labels(images, 5), unlabelled, IMAGE, SIZE, batch_size, seed=0)


def expected(images: ImageSet, rows: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """View `number` of some rows, and what the source says of it."""
    views = draw_views(images.hashes[rows], MOVED, 0, number)
    cut = cut_views(images.resized[SIZE], rows, views, SIZE)
    return cut, SESSION.run(cut).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("epoch", [0, 3])
def test_a_batch_has_the_epochs_view_of_each_image_and_its_labels(epoch: int) -> None:
    fed = feed()
    steps = fed.epoch(epoch)
    assert len(steps) == fed.steps == 3
    for step, rows in zip(steps, epoch_batches(COUNT, 4, 0, epoch), strict=True):
        batch = fed.batch(epoch, step)
        views, said = expected(fed.images, rows, epoch)
        np.testing.assert_array_equal(batch.images, views)
        np.testing.assert_array_equal(batch.soft["small"], said)
        np.testing.assert_array_equal(batch.labels, fed.images.labels[rows])


def test_unlabelled_images_follow_with_the_view_of_their_own_pass() -> None:
    fed = feed(ratio=1.5)
    passes: dict[int, list[int]] = {}
    for epoch in range(5):
        for step in fed.epoch(epoch):
            rows, others, of_passes = step
            batch = fed.batch(epoch, step)
            assert len(batch.labels) == len(rows)
            assert len(others) == round(1.5 * len(rows)) == len(batch.images) - len(rows)
            for place, (row, number) in enumerate(zip(others.tolist(), of_passes.tolist(), strict=True), len(rows)):
                views, said = expected(FURTHER, np.array([row]), number)
                np.testing.assert_array_equal(batch.images[place], views[0])
                np.testing.assert_array_equal(batch.soft["small"][place], said[0])
                passes.setdefault(number, []).append(row)
            np.testing.assert_array_equal(batch.soft["small"][: len(rows)], expected(fed.images, rows, epoch)[1])
    assert len(passes) > 5
    assert all(sorted(passes[number]) == list(range(7)) for number in list(passes)[:-1])


def test_an_epoch_is_the_same_whatever_was_fed_before() -> None:
    gone_on, resumed = feed(ratio=0.5), feed(ratio=0.5)
    for epoch in range(3):
        for step in gone_on.epoch(epoch):
            last = gone_on.batch(epoch, step)
    again = resumed.batch(2, resumed.epoch(2)[-1])
    np.testing.assert_array_equal(last.images, again.images)
    np.testing.assert_array_equal(last.soft["small"], again.soft["small"])


def test_a_batch_that_no_unlabelled_image_joins_is_a_labelled_one() -> None:
    assert joining(COUNT, 4, 0.15) == [1, 0, 0]
    fed = feed(ratio=0.15)
    sizes = [len(fed.batch(0, step).images) for step in fed.epoch(0)]
    assert sizes == [5, 3, 3]

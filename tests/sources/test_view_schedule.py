"""Which views a training needs labels of: each slot has one, and views that are equal are needed once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sskt_edge.data.inputs.image.image import IMAGE
from sskt_edge.data.inputs.image.views import draw_views
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from tests.sources.queries import COUNT, SIZE, image_set, view_schedule


@pytest.mark.parametrize(("views", "passes", "numbers"), [(2, 5, 2), (16, 5, 5), ("fresh", 5, 5)])
def test_views_are_taken_in_turn_and_no_more_of_them_than_there_are_turns(
    views: int | str, passes: int, numbers: int
) -> None:
    schedule = view_schedule(views=views, passes=passes)  # type: ignore[arg-type]
    assert schedule.numbers == numbers
    rows = np.arange(COUNT)
    for number in range(passes):
        slots = schedule.slots(np.full(COUNT, number), rows)
        view = number % numbers
        expected = draw_views(schedule.images.hashes, schedule.plan.policy, schedule.plan.seed, view)
        np.testing.assert_array_equal(schedule.views(slots), expected)
        assert (slots == view * COUNT + rows).all()


def test_places_of_several_turns_keep_their_order() -> None:
    schedule = view_schedule(views="fresh", passes=4)
    passes, rows = np.array([3, 0, 3, 1]), np.array([5, 5, 0, 9])
    views = schedule.views(schedule.slots(passes, rows))
    for slot, (number, row) in enumerate(zip(passes.tolist(), rows.tolist(), strict=True)):
        alone = draw_views(schedule.images.hashes[row : row + 1], schedule.plan.policy, 0, number)
        np.testing.assert_array_equal(views[slot], alone[0])


def test_every_place_has_the_key_of_its_view() -> None:
    schedule = view_schedule(views="fresh", passes=3)
    slots = np.arange(3 * COUNT)
    of_image = [
        (schedule.images.hashes[slot % COUNT].tobytes(), schedule.views(slots)[slot].tobytes()) for slot in slots
    ]
    for one in slots:
        for other in slots:
            assert (schedule.keys[one] == schedule.keys[other]) == (of_image[one] == of_image[other])


def test_fresh_views_of_a_small_policy_repeat_and_are_needed_once() -> None:
    """Padding 1 and a flip make 3 · 3 · 2 views of an image."""
    images, policy = image_set(3), ViewPolicy(SIZE, padding=1, flip=True)
    schedule = ViewSchedule(images, LabelPlan(IMAGE, policy, 0, "fresh", 4), passes=200)
    drawn = np.stack([draw_views(images.hashes, policy, 0, number) for number in range(200)])
    different = [{view.tobytes() for view in drawn[:, row]} for row in range(3)]
    assert len(schedule.distinct) == sum(map(len, different)) == 3 * 18
    assert (np.diff(schedule.distinct) > 0).all()
    assert set(schedule.keys[schedule.distinct]) == set(schedule.keys)


@pytest.mark.parametrize("views", ["fresh", 3, 16])
def test_a_last_turn_that_meets_some_images_wants_those_alone(views: int | str) -> None:
    last = np.array([2, 3, 7])
    schedule = replace(view_schedule(views=views, passes=3), last=last)  # type: ignore[arg-type]
    whole = view_schedule(views=views, passes=3)  # type: ignore[arg-type]
    passes, rows = np.repeat([0, 1, 2], [COUNT, COUNT, 3]), np.concatenate([np.arange(COUNT), np.arange(COUNT), last])
    slots = schedule.slots(passes, rows)
    assert slots.tolist() == list(range(2 * COUNT + 3))
    np.testing.assert_array_equal(schedule.rows(slots), rows)
    np.testing.assert_array_equal(schedule.views(slots), whole.views(whole.slots(passes, rows)))
    assert (schedule.keys == whole.keys[whole.slots(passes, rows)]).all()
    assert np.concatenate([schedule.slots_of(number) for number in range(3)]).tolist() == slots.tolist()


def test_a_view_number_that_was_met_before_has_a_slot_for_every_image() -> None:
    whole = view_schedule(views=2, passes=3)
    schedule = replace(whole, last=np.array([4]))
    assert (schedule.keys == whole.keys).all()


def test_the_same_image_twice_is_needed_once() -> None:
    twice = image_set(2)
    same = type(twice)(
        {side: np.repeat(square[:1], 2, axis=0) for side, square in twice.resized.items()},
        twice.labels,
        np.repeat(twice.hashes[:1], 2, axis=0),
        twice.names,
    )
    assert view_schedule(same, views=1).distinct.tolist() == [0]


@pytest.mark.parametrize("policy", [ViewPolicy(SIZE, 2, None, True), ViewPolicy(SIZE, 0, (0.5, 1.0))])
def test_what_is_noted_of_the_views_is_json(policy: ViewPolicy) -> None:
    noted = LabelPlan(IMAGE, policy, 7, "fresh", 4).views_as_json()
    assert json.loads(json.dumps(noted)) == noted
    assert (noted["views"], noted["seed"], noted["padding"]) == ("fresh", 7, policy.padding)
    assert list(noted) == ["views", "seed", "side", "padding", "area", "flip"]  # as records that were written before

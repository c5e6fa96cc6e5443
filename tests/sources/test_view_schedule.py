"""Which views a training wants: each place has one, and views that are equal are wanted once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sskt_edge.data.views import ViewPolicy, draw_views
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from tests.sources.questions import COUNT, SIDE, image_set, wanted


@pytest.mark.parametrize(("views", "turns", "numbers"), [(2, 5, 2), (16, 5, 5), ("fresh", 5, 5)])
def test_views_are_taken_in_turn_and_no_more_of_them_than_there_are_turns(
    views: int | str, turns: int, numbers: int
) -> None:
    asked = wanted(views=views, turns=turns)  # type: ignore[arg-type]
    assert asked.numbers == numbers
    rows = np.arange(COUNT)
    for turn in range(turns):
        places = asked.places(np.full(COUNT, turn), rows)
        number = turn % numbers
        expected = draw_views(asked.images.hashes, asked.plan.policy, asked.plan.seed, number)
        np.testing.assert_array_equal(asked.views(places), expected)
        assert (places == number * COUNT + rows).all()


def test_places_of_several_turns_keep_their_order() -> None:
    asked = wanted(views="fresh", turns=4)
    turns, rows = np.array([3, 0, 3, 1]), np.array([5, 5, 0, 9])
    views = asked.views(asked.places(turns, rows))
    for place, (turn, row) in enumerate(zip(turns.tolist(), rows.tolist(), strict=True)):
        alone = draw_views(asked.images.hashes[row : row + 1], asked.plan.policy, 0, turn)
        np.testing.assert_array_equal(views[place], alone[0])


def test_every_place_has_the_key_of_its_view() -> None:
    asked = wanted(views="fresh", turns=3)
    places = np.arange(3 * COUNT)
    of_image = [
        (asked.images.hashes[place % COUNT].tobytes(), asked.views(places)[place].tobytes()) for place in places
    ]
    for one in places:
        for other in places:
            assert (asked.keys[one] == asked.keys[other]) == (of_image[one] == of_image[other])


def test_fresh_views_of_a_small_policy_repeat_and_are_wanted_once() -> None:
    """Padding 1 and a flip make 3 · 3 · 2 views of an image."""
    images, policy = image_set(3), ViewPolicy(SIDE, padding=1, flip=True)
    asked = ViewSchedule(images, LabelPlan(policy, 0, "fresh", 4), turns=200)
    drawn = np.stack([draw_views(images.hashes, policy, 0, number) for number in range(200)])
    different = [{view.tobytes() for view in drawn[:, row]} for row in range(3)]
    assert len(asked.distinct) == sum(map(len, different)) == 3 * 18
    assert (np.diff(asked.distinct) > 0).all()
    assert set(asked.keys[asked.distinct]) == set(asked.keys)


@pytest.mark.parametrize("views", ["fresh", 3, 16])
def test_a_last_turn_that_meets_some_images_wants_those_alone(views: int | str) -> None:
    last = np.array([2, 3, 7])
    asked = replace(wanted(views=views, turns=3), last=last)  # type: ignore[arg-type]
    whole = wanted(views=views, turns=3)  # type: ignore[arg-type]
    turns, rows = np.repeat([0, 1, 2], [COUNT, COUNT, 3]), np.concatenate([np.arange(COUNT), np.arange(COUNT), last])
    places = asked.places(turns, rows)
    assert places.tolist() == list(range(2 * COUNT + 3))
    np.testing.assert_array_equal(asked.rows(places), rows)
    np.testing.assert_array_equal(asked.views(places), whole.views(whole.places(turns, rows)))
    assert (asked.keys == whole.keys[whole.places(turns, rows)]).all()
    assert np.concatenate([asked.places_of(number) for number in range(3)]).tolist() == places.tolist()


def test_a_view_that_was_met_before_is_wanted_whole_whatever_the_last_turn_meets() -> None:
    whole = wanted(views=2, turns=3)
    asked = replace(whole, last=np.array([4]))
    assert (asked.keys == whole.keys).all()


def test_the_same_image_twice_is_wanted_once() -> None:
    twice = image_set(2)
    same = type(twice)(
        {side: np.repeat(square[:1], 2, axis=0) for side, square in twice.squares.items()},
        twice.labels,
        np.repeat(twice.hashes[:1], 2, axis=0),
        twice.names,
    )
    assert wanted(same, views=1).distinct.tolist() == [0]


@pytest.mark.parametrize("policy", [ViewPolicy(SIDE, 2, None, True), ViewPolicy(SIDE, 0, (0.5, 1.0))])
def test_what_is_noted_of_the_views_is_json(policy: ViewPolicy) -> None:
    noted = LabelPlan(policy, 7, "fresh", 4).views_as_json()
    assert json.loads(json.dumps(noted)) == noted
    assert (noted["views"], noted["seed"], noted["padding"]) == ("fresh", 7, policy.padding)

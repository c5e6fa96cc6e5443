from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.data.split import below_budget, budget, content_groups, divide, hold_out, rank
from tests.data.small import hashes_of

LABELS = np.array([0] * 40 + [1] * 10 + [2] * 3, dtype=np.int64)
HASHES = hashes_of(len(LABELS))
ALONE = content_groups(HASHES)  # no content occurs twice


def test_the_order_depends_on_content_and_seed_not_on_places() -> None:
    order = rank(HASHES, seed=4)
    shuffled = np.random.default_rng(0).permutation(len(HASHES))

    assert sorted(order.tolist()) == list(range(len(HASHES)))
    assert np.array_equal(HASHES[order], HASHES[shuffled][rank(HASHES[shuffled], 4)])
    assert not np.array_equal(order, rank(HASHES, seed=5))


@pytest.mark.parametrize("place", [0, 20, 53])
def test_one_image_more_moves_no_other_past_another(place: int) -> None:
    more = np.insert(HASHES, place, 200, axis=0)

    kept = [row for row in rank(more, 4).tolist() if row != place]

    assert [row - (row > place) for row in kept] == rank(HASHES, 4).tolist()


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.2, [8, 2, 1]), (0.05, [2, 1, 1]), (0.5, [20, 5, 2]), (0.01, [1, 1, 1]), (0.99, [39, 9, 2])],
)
def test_hold_out_takes_its_share_of_each_class_but_never_none_or_all(share: float, expected: list[int]) -> None:
    kept, held = hold_out(LABELS, rank(HASHES, 0), ALONE, share)

    assert [int((LABELS[held] == label).sum()) for label in range(3)] == expected
    assert sorted([*kept, *held]) == list(range(len(LABELS)))
    assert kept.tolist() == sorted(kept) and held.tolist() == sorted(held)


def test_of_a_single_image_nothing_is_held_out() -> None:
    kept, held = hold_out(np.array([0, 1, 1]), rank(hashes_of(3), 0), np.arange(3), 0.5)

    assert 0 in kept and len(held) == 1


def test_hold_out_depends_on_content_alone() -> None:
    shuffled = np.random.default_rng(0).permutation(len(HASHES))
    _, held = hold_out(LABELS, rank(HASHES, 0), ALONE, 0.3)
    _, held_shuffled = hold_out(LABELS[shuffled], rank(HASHES[shuffled], 0), ALONE[shuffled], 0.3)

    assert {HASHES[row].tobytes() for row in held} == {HASHES[shuffled][row].tobytes() for row in held_shuffled}


def test_hold_out_stays_within_the_rows_that_it_is_given() -> None:
    order = rank(HASHES, 0)[::2]

    kept, held = hold_out(LABELS, order, ALONE, 0.3)

    assert sorted([*kept, *held]) == sorted(order)


def test_one_image_more_moves_at_most_one_other_into_or_out_of_the_test() -> None:
    _, held = hold_out(LABELS, rank(HASHES, 0), ALONE, 0.2)
    more, labels = np.append(HASHES, np.full((1, 32), 200, np.uint8), axis=0), np.append(LABELS, 0)

    _, held_more = hold_out(labels, rank(more, 0), content_groups(more), 0.2)

    assert len(set(held.tolist()) ^ set(held_more.tolist())) <= 2


def test_a_budget_takes_the_first_of_each_class_a_larger_contains_it() -> None:
    order = rank(HASHES, 0)

    few, more = budget(LABELS, order, 5), budget(LABELS, order, 12)

    assert np.bincount(LABELS[few]).tolist() == [5, 5, 3]
    assert np.bincount(LABELS[more]).tolist() == [12, 10, 3]
    assert set(few.tolist()) < set(more.tolist())
    assert set(few[LABELS[few] == 0].tolist()) == set([row for row in order if LABELS[row] == 0][:5])


def test_a_budget_of_0_takes_all() -> None:
    assert budget(LABELS, rank(HASHES, 0), 0).tolist() == list(range(len(LABELS)))


@pytest.mark.parametrize("validation", [0.0, 0.01, 0.3, "rest"])
@pytest.mark.parametrize("per_class", [1, 5])
def test_a_division_puts_every_row_into_one_part(validation: float | Literal["rest"], per_class: int) -> None:
    parts = divide(LABELS, rank(HASHES, 0), ALONE, validation, per_class)
    rows = [row for part in parts if part is not None for row in part.tolist()]

    assert sorted(rows) == list(range(len(LABELS)))
    assert (parts.validation is None) == (validation == 0)
    assert len(parts.rest) == 0 or validation != "rest"
    assert all(part is None or part.tolist() == sorted(part.tolist()) for part in parts)


def test_a_share_is_held_out_before_the_budget_and_the_rest_after_it() -> None:
    order = rank(HASHES, 0)
    kept, held = hold_out(LABELS, order, ALONE, 0.3)
    share, rest, none = (divide(LABELS, order, ALONE, validation, 5) for validation in (0.3, "rest", 0.0))

    assert share.validation is not None and share.validation.tolist() == held.tolist()
    assert share.labelled.tolist() == budget(LABELS, order[np.isin(order, kept)], 5).tolist()
    assert rest.labelled.tolist() == none.labelled.tolist() == budget(LABELS, order, 5).tolist()
    assert rest.validation is not None and rest.validation.tolist() == none.rest.tolist()


def test_without_a_budget_there_is_no_rest() -> None:
    assert divide(LABELS, rank(HASHES, 0), ALONE, 0.3, 0).rest.tolist() == []


def test_the_division_stays_what_it_was() -> None:
    """Runs of different versions compare only if the same recipe means the same images."""
    parts = divide(LABELS, rank(HASHES, 3), ALONE, 0.1, 2)

    assert parts.labelled.tolist() == [7, 24, 43, 48, 51, 52]
    assert parts.validation is not None and parts.validation.tolist() == [0, 34, 36, 37, 44, 50]


def with_copies(seed: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Labels and groups of 60 images in 3 classes; a third of the contents occur several times, some in two classes."""
    draw = np.random.default_rng(seed)
    return draw.integers(0, 3, 60), draw.permutation(np.concatenate([np.arange(30), draw.integers(0, 10, 30)]))


def order_of(groups: NDArray[np.intp], seed: int) -> NDArray[np.intp]:
    return rank(hashes_of(30)[groups], seed)


def test_groups_are_those_of_equal_content() -> None:
    groups = content_groups(hashes_of(3)[[2, 0, 2, 1, 0]])

    assert [groups.tolist().index(group) for group in groups] == [0, 1, 0, 3, 1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_copies_are_held_out_together_whatever_their_class(share: float, seed: int) -> None:
    labels, groups = with_copies(seed)
    kept, held = hold_out(labels, order_of(groups, seed), groups, share)

    assert not set(groups[kept].tolist()) & set(groups[held].tolist())
    assert sorted([*kept, *held]) == list(range(60))
    for label in range(3):
        size, out = int((labels == label).sum()), int((labels[held] == label).sum())
        assert 1 <= out <= max(3, share * size + 0.5)
        assert out < size


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("validation", [0.0, 0.3, "rest"])
@pytest.mark.parametrize("per_class", [1, 4])
def test_no_content_is_in_two_parts_of_a_division(
    validation: float | Literal["rest"], per_class: int, seed: int
) -> None:
    labels, groups = with_copies(seed)
    parts = divide(labels, order_of(groups, seed), groups, validation, per_class)
    contents = [set(groups[part].tolist()) for part in parts if part is not None]

    assert sum(len(one) for one in contents) == len(set.union(*contents)) == 30
    assert np.bincount(labels[parts.labelled]).tolist() == [per_class] * 3


def test_a_group_above_the_share_is_kept_and_the_next_held_out() -> None:
    labels, groups = np.zeros(10, dtype=np.int64), np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7])

    _, held = hold_out(labels, np.arange(10), groups, 0.2)

    assert held.tolist() == [3, 4]


def test_a_class_of_pairs_gives_a_pair_where_its_share_is_one_image() -> None:
    labels, groups = np.zeros(4, dtype=np.int64), np.array([0, 0, 1, 1])

    kept, held = hold_out(labels, np.arange(4), groups, 0.2)

    assert (kept.tolist(), held.tolist()) == ([2, 3], [0, 1])


def test_of_copies_of_one_image_nothing_is_held_out() -> None:
    kept, held = hold_out(np.array([0, 0, 0, 1, 1]), np.arange(5), np.array([0, 0, 0, 1, 2]), 0.4)

    assert (kept.tolist(), held.tolist()) == ([0, 1, 2, 4], [3])


def test_classes_below_the_budget_are_counted_and_the_smallest_named() -> None:
    few = budget(LABELS, rank(HASHES, 0), 12)

    said = below_budget(LABELS[few], ("a", "b", "c"), 12)

    assert "data.per_class = 12" in said and "2 of 3 classes" in said and "'c' with 3" in said
    assert below_budget(LABELS[few], ("a", "b", "c"), 3) == ""
    assert below_budget(LABELS, ("a", "b", "c"), 0) == ""

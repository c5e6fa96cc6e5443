"""The split and the budget of images with any number of classes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.data.split import below_budget, budget, content_groups, divide, hold_out, rank
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.data.small import hashes_of

N, SHARES = 1500, np.array([0.45, 0.2, 0.1, 0.05, 0.03, 0.01])


def labels_of(seed: int) -> NDArray[np.int8]:
    """Frequent and rare classes; an image with one of the later ones often has the first one too."""
    random = np.random.default_rng(seed)
    labels = (random.random((N, 6)) < SHARES).astype(np.int8)
    labels[:, 0] |= (labels[:, 2:].any(axis=1) & (random.random(N) < 0.7)).astype(np.int8)
    return labels


def hashes(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (N, 32)).astype(np.uint8)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_every_class_has_its_share_held_out(share: float, seed: int) -> None:
    labels, contents = labels_of(seed), hashes(seed)
    strata = MULTI_LABEL.strata(labels)

    kept, held = hold_out(strata, rank(contents, seed), content_groups(contents), share)

    assert sorted([*kept, *held]) == list(range(N))
    assert strata[held].sum(axis=0) == pytest.approx(share * strata.sum(axis=0), abs=1.01)
    assert len(held) == pytest.approx(share * N, rel=0.1)


def test_a_draw_by_chance_is_less_even() -> None:
    """What the strata are for: the largest relative miss of a class, over several seeds."""
    miss = {"drawn": 0.0, "by chance": 0.0}
    for seed in range(4):
        labels, order = labels_of(seed), rank(hashes(seed), seed)
        _, held = hold_out(MULTI_LABEL.strata(labels), order, np.arange(N), 0.2)
        for name, rows in (("drawn", held), ("by chance", order[: N // 5])):
            off = np.abs(labels[rows].sum(axis=0) / labels.sum(axis=0) / 0.2 - 1)
            miss[name] = max(miss[name], float(off.max()))
    assert miss["drawn"] < miss["by chance"] / 3


def test_the_split_depends_on_content_alone() -> None:
    labels, contents = labels_of(0), hashes(0)
    moved = np.random.default_rng(0).permutation(N)
    one, other = (
        hold_out(MULTI_LABEL.strata(labels[rows]), rank(contents[rows], 3), content_groups(contents[rows]), 0.2)[1]
        for rows in (np.arange(N), moved)
    )

    assert {contents[row].tobytes() for row in one} == {contents[moved][row].tobytes() for row in other}


def test_copies_stay_together() -> None:
    labels, contents = labels_of(0), hashes(0)
    contents[500:900] = contents[:400]
    groups = content_groups(contents)

    parts = divide(MULTI_LABEL.strata(labels), rank(contents, 0), groups, 0.3, 20)

    assert parts.validation is not None
    sets = [set(groups[rows].tolist()) for rows in (parts.labelled, parts.validation, parts.rest)]
    assert sum(map(len, sets)) == len(set.union(*sets))


def test_images_without_a_class_are_held_out_and_budgeted_too() -> None:
    labels = np.zeros((100, 2), np.int8)
    labels[:30, 0] = labels[20:40, 1] = 1
    strata, order = MULTI_LABEL.strata(labels), rank(hashes_of(100), 0)

    _, held = hold_out(strata, order, np.arange(100), 0.2)

    assert strata[held].sum(axis=0).tolist() == [6, 4, 12]
    assert strata[budget(strata, order, 5)].sum(axis=0)[2] == 5


def test_a_budget_takes_the_first_of_each_class_a_larger_contains_it() -> None:
    labels, order = labels_of(1), rank(hashes(1), 1)
    strata = MULTI_LABEL.strata(labels)
    taken = {size: budget(strata, order, size) for size in (5, 10, 40)}

    for size, rows in taken.items():
        first = {row for column in strata.T for row in order[column[order]][:size].tolist()}
        assert set(rows.tolist()) == first and rows.tolist() == sorted(first)
        assert (labels[rows].sum(axis=0) >= np.minimum(size, labels.sum(axis=0))).all()
    assert set(taken[5]) < set(taken[10]) < set(taken[40])
    assert budget(strata, order, 0).tolist() == list(range(N))


def test_one_class_an_image_is_divided_as_by_its_number() -> None:
    numbers = np.random.default_rng(2).integers(0, 4, 200)
    one_hot = np.eye(4, dtype=bool)[numbers]
    order, groups = rank(hashes_of(200), 0), np.arange(200)
    for validation in (0.0, 0.25):
        ours = divide(one_hot, order, groups, validation, 7)
        theirs = divide(SINGLE_LABEL.strata(numbers), order, groups, validation, 7)
        for own, other in zip(ours, theirs, strict=True):
            assert (own is None) == (other is None)
            assert own is None or other is None or own.tolist() == other.tolist()


def test_classes_below_the_budget_are_counted_and_the_smallest_named() -> None:
    strata = MULTI_LABEL.strata(np.array([[1, 1], [1, 0], [0, 0]], np.int8))

    said = below_budget(strata, ("cat", "dog"), 2)

    assert "1 of 2 classes" in said and "'dog' with 1" in said
    assert below_budget(strata, ("cat", "dog"), 1) == ""

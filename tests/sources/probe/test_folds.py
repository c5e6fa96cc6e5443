from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.sources.probe.folds import MOST_FOLDS, folds_of
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.sources.probe.sets import image_set


def test_every_class_is_dealt_out_evenly() -> None:
    labels = np.repeat([0, 1, 2], [23, 11, 6])
    folds = folds_of(SINGLE_LABEL, image_set(labels), "abc")
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=MOST_FOLDS)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(folds)) <= 1


def test_copies_are_in_one_fold() -> None:
    labels = np.zeros(40, dtype=np.int64)
    labels[20:] = 1
    contents = np.arange(40)
    contents[30:] = contents[20:30]
    folds = folds_of(SINGLE_LABEL, image_set(labels, contents), "ab")
    assert (folds[30:] == folds[20:30]).all()


def test_an_image_keeps_its_fold_whatever_the_order() -> None:
    labels, order = np.arange(30) % 3, np.random.default_rng(0).permutation(30)
    folds = folds_of(SINGLE_LABEL, image_set(labels), "abc")
    assert (folds_of(SINGLE_LABEL, image_set(labels[order], order), "abc") == folds[order]).all()


def test_a_small_class_makes_fewer_folds() -> None:
    folds = folds_of(SINGLE_LABEL, image_set(np.repeat([0, 1], [20, 3])), "ab")
    assert folds.max() == 2
    assert sorted(folds[20:]) == [0, 1, 2]


def test_images_without_a_label_are_in_no_fold() -> None:
    labels = np.array([0, 0, -1, 1, 1, -1])
    folds = folds_of(SINGLE_LABEL, image_set(labels), "ab")
    assert (folds[labels < 0] == -1).all() and (folds[labels >= 0] >= 0).all()


@pytest.mark.parametrize("contents", [np.array([0, 1, 2, 3]), np.array([0, 1, 2, 2])])
def test_a_class_with_one_image_is_named(contents: np.ndarray) -> None:
    labels = np.array([0, 0, 1, 1]) if contents[3] == 2 else np.array([0, 0, 0, 1])
    with pytest.raises(DataError, match=r"two different labelled images of every class, and 'dog' has fewer"):
        folds_of(SINGLE_LABEL, image_set(labels, contents), ["cat", "dog"])


def test_several_classes_are_dealt_out_by_the_rarest_of_an_image() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((200, 4)) < [0.6, 0.3, 0.2, 0.06]).astype(np.int8)
    folds = folds_of(MULTI_LABEL, image_set(labels), "abcd")
    rare = np.bincount(folds[labels[:, 3] == 1], minlength=folds.max() + 1)
    assert np.ptp(rare) <= 1


def test_many_images_are_dealt_out_at_once() -> None:
    labels = np.arange(20_000) % 100
    folds = folds_of(SINGLE_LABEL, image_set(labels), [str(name) for name in range(100)])
    assert np.bincount(folds).tolist() == [4_000] * MOST_FOLDS

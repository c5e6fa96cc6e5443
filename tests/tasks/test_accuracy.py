from __future__ import annotations

import json

import numpy as np
import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.common.json import as_json
from sskt_edge.tasks.accuracy import accuracy_drop, answer_scores, paired_drop, per_class, predictions, top_k
from sskt_edge.tasks.confusion import confusion

# Answers by hand: 0, 2, 1, 0.
LOGITS = np.array([[3, 1, 2], [0, 1, 5], [2, 9, 1], [7, 6, 5]], dtype=np.float32)
LABELS = np.array([0, 1, 1, 2])


@pytest.mark.parametrize("k,expected", [(1, 2 / 4), (2, 3 / 4), (3, 1.0), (9, 1.0)])
def test_top_k_is_the_share_worked_by_hand(k: int, expected: float) -> None:
    assert top_k(LOGITS, LABELS, k) == expected


def test_confusion_has_the_truth_in_rows() -> None:
    assert confusion(predictions(LOGITS), LABELS, 3).tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]


def test_per_class_is_nan_for_a_class_without_images() -> None:
    shares = per_class(np.pad(LOGITS, ((0, 0), (0, 1))), LABELS, 4)
    assert shares[:3].tolist() == [1.0, 0.5, 0.0] and np.isnan(shares[3])


def test_of_equal_logits_the_lower_class_comes_first() -> None:
    flat = np.zeros((3, 3), dtype=np.float32)
    labels = np.array([0, 1, 2])
    assert [top_k(flat, labels, k) for k in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]
    assert predictions(flat).tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_logits_that_are_not_finite_never_count_as_right(bad: float, place: int) -> None:
    logits = LOGITS.copy()
    logits[0, place] = bad
    found = answer_scores(logits, LABELS, 3)
    assert found.value == 1 / 4 and found.not_finite == 1
    assert top_k(logits, LABELS, 3) == 3 / 4
    assert found.per_class.tolist() == [0.0, 0.5, 0.0]
    assert found.confusion.tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 0]]


def test_top5_needs_more_than_five_classes() -> None:
    assert answer_scores(LOGITS, LABELS, 3).top5 is None
    logits = np.arange(12, dtype=np.float32).reshape(2, 6)  # the class 0 comes last
    assert answer_scores(logits, np.array([0, 1]), 6).top5 == 1 / 2


def test_scores_are_plain_json() -> None:
    found = as_json(answer_scores(np.pad(LOGITS, ((0, 0), (0, 1))), LABELS, 4))
    assert json.loads(json.dumps(found, allow_nan=False))["per_class"] == [1.0, 0.5, 0.0, None]


def test_many_classes_cost_no_matrix_of_them() -> None:
    logits = np.zeros((2, 200_000), dtype=np.float32)  # the matrix would take 320 GB
    found = answer_scores(logits, np.array([0, 1]), 200_000)
    assert found.per_class[:2].tolist() == [1.0, 0.0]
    assert as_json(found)["confusion"] is None


@pytest.mark.parametrize(
    "labels", [np.array([0, 1]), np.array([0, 1, 1, 3]), np.array([-1, 0, 0, 0])], ids=["fewer", "above", "below"]
)
def test_labels_that_do_not_fit_are_refused(labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    with pytest.raises(DataError, match="expected"):
        answer_scores(LOGITS, labels, 3)


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="expected"):
        answer_scores(LOGITS[:0], LABELS[:0], 3)


def test_a_drop_counts_the_images_that_are_lost_and_gained() -> None:
    trained = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    other = np.eye(3, dtype=np.float32)[[0, 2, 1, 1, 1]]
    other[4] = np.nan
    labels = np.array([0, 1, 1, 0, 1])
    found = accuracy_drop(trained, other, labels)
    assert found == paired_drop(5, 3, 1)  # lost: 1, 3 and the one that is not finite; gained: 2
    assert found.value == pytest.approx(top_k(trained, labels, 1) - top_k(other, labels, 1)) == 2 / 5


@pytest.mark.parametrize(("images", "lost", "gained"), [(48, 0.02, 0.0), (48, 0.05, 0.03), (736, 0.01, 0.005)])
def test_the_interval_of_a_drop_holds_the_true_one_in_95_of_100_draws(images: int, lost: float, gained: float) -> None:
    draws = np.random.default_rng(0).multinomial(images, [lost, gained, 1 - lost - gained], size=4000)
    ends = np.array([paired_drop(images, int(minus), int(plus)).interval for minus, plus, _ in draws])
    within = np.mean((ends[:, 0] <= lost - gained) & (lost - gained <= ends[:, 1]))
    assert within >= 0.94

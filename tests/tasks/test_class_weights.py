from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.tasks.class_weights import class_weights
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task

CLASSES = ("cat", "dog", "emu")
LABELS = np.array([0, 0, 1, 2])
HAS = np.array([[1, 0, 1], [0, 0, 1]], np.int8)


@pytest.mark.parametrize(("task", "labels"), [(SINGLE_LABEL, LABELS), (MULTI_LABEL, HAS)])
def test_balanced_weights_are_the_tasks(task: Task, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    found = class_weights("balanced", task, labels, CLASSES)
    assert found is not None and found.tolist() == task.class_weights(labels, 3).tolist()


def test_a_class_that_is_not_named_counts_one() -> None:
    found = class_weights({"dog": 2.5}, SINGLE_LABEL, LABELS, CLASSES)
    assert found is not None and found.dtype == np.float32 and found.tolist() == [1, 2.5, 1]


def test_no_table_means_no_weights() -> None:
    assert class_weights({}, SINGLE_LABEL, LABELS, CLASSES) is None


def test_a_name_that_is_not_a_class_is_told_the_nearest() -> None:
    with pytest.raises(RecipeError, match="'dog'"):
        class_weights({"dogg": 2}, SINGLE_LABEL, LABELS, CLASSES)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_is_a_number_above_0(weight: float) -> None:
    with pytest.raises(RecipeError, match="above 0"):
        class_weights({"dog": weight}, SINGLE_LABEL, LABELS, CLASSES)

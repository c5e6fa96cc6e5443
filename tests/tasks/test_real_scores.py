"""Real scores with known answers: PASCAL VOC 2007, 200 test images, 20 classes, 28 labels of difficult objects ignored.

The logits are those of a linear layer on EfficientNet-Lite0's features. The answers were computed once from the
definitions in exact fractions (test_average_precision.py) and, for the uninterpolated AP, by scikit-learn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.metrics import average_precision_score

from sskt_edge.tasks.multi_label import MULTI_LABEL

CONTENT = load_file(Path(__file__).parent / "voc2007.safetensors")
LOGITS, LABELS = CONTENT["logits"], CONTENT["labels"]  # float16 [200,20], int8 [200,20]

AP = [1.0, 0.663291, 0.840814, 0.798876, 0.640909, 0.743386, 0.944856, 0.596007, 0.475739, 0.781746]
AP += [0.836885, 0.751552, 1.0, 0.726923, 0.903466, 0.816667, 0.287596, 0.620776, 1.0, 0.544335]


def test_the_figures_of_real_scores_are_the_known_ones() -> None:
    found = MULTI_LABEL.scores(LOGITS, LABELS, 20)
    assert found.per_class == pytest.approx(AP, abs=1e-6)
    assert found.value == pytest.approx(0.7486912091654154, abs=1e-12)
    assert found.voc2007 == pytest.approx(0.7435341340326314, abs=1e-12)
    assert found.uninterpolated == pytest.approx(0.7449760052884167, abs=1e-12)
    assert found.positives.sum() == (LABELS == 1).sum() and (LABELS == -1).sum() == 28


def test_difficult_objects_that_count_as_absent_give_another_figure() -> None:
    as_absent = np.where(LABELS == -1, 0, LABELS)
    found = MULTI_LABEL.scores(LOGITS, as_absent, 20)
    assert found.uninterpolated == pytest.approx(average_precision_score(as_absent, LOGITS), abs=1e-12)
    assert found.uninterpolated != pytest.approx(0.7449760052884167, abs=1e-6)

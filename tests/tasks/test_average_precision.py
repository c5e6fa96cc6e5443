"""AP by the definitions themselves, written out in plain loops, and by scikit-learn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from sskt_edge.tasks.average_precision import area, eleven_points, points_of, rank_images, uninterpolated

# One class of VOC's kind, worked by hand: precisions at the positives are 1, 2/3, 3/4 and 4/7.
SCORES = np.array([9, 8, 7, 6, 5, 4, 3, 2], dtype=np.float32)
LABELS = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=np.int8)


def ap(figure: str, scores: NDArray[np.float32], labels: NDArray[np.int8]) -> float:
    points = points_of(rank_images(scores, labels))
    return float({"area": area, "eleven": eleven_points, "plain": uninterpolated}[figure](points)[0])


def curve(scores: NDArray[np.float32], labels: NDArray[np.int8]) -> list[tuple[Fraction, Fraction]]:
    """(recall, precision) at every score that occurs, from the highest down."""
    kept = [(float(score), int(label)) for score, label in zip(scores, labels, strict=True) if label >= 0]
    positives = sum(label for _, label in kept)
    found = []
    for threshold in sorted({score for score, _ in kept}, reverse=True):
        above = [label for score, label in kept if score >= threshold]
        found.append((Fraction(sum(above), positives), Fraction(sum(above), len(above))))
    return found


def area_by_definition(points: list[tuple[Fraction, Fraction]]) -> float:
    """As the development kit of VOC 2010: sentinels at both ends, precision raised from the right, steps of recall."""
    recalls = [Fraction(0), *(recall for recall, _ in points), Fraction(1)]
    precisions = [Fraction(0), *(precision for _, precision in points), Fraction(0)]
    for place in range(len(precisions) - 2, -1, -1):
        precisions[place] = max(precisions[place], precisions[place + 1])
    return float(sum((recalls[i + 1] - recalls[i]) * precisions[i + 1] for i in range(len(recalls) - 1)))


def eleven_by_definition(points: list[tuple[Fraction, Fraction]]) -> float:
    """As the development kit of VOC 2007, in exact fractions."""
    return float(sum(max(p for r, p in points if r >= Fraction(step, 10)) for step in range(11)) / 11)


def cases() -> list[tuple[NDArray[np.float32], NDArray[np.int8]]]:
    """Rankings of every quality, with and without ties and ignored labels."""
    random = np.random.default_rng(0)
    found = []
    for number in range(60):
        size = int(random.integers(2, 80))
        labels = (random.random(size) < random.uniform(0.05, 0.7)).astype(np.int8)
        labels[int(random.integers(size))] = 1
        scores = (random.standard_normal(size) + random.uniform(-1, 3) * labels).astype(np.float32)
        if number % 2:
            scores = np.round(scores, 0 if number % 4 == 1 else 1)
        if number % 3 == 0:
            labels[(random.random(size) < 0.2) & (np.arange(size) != labels.argmax())] = -1
        found.append((scores, labels))
    return found


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("plain", (1 + 2 / 3 + 3 / 4 + 4 / 7) / 4),
        ("area", (1 + 3 / 4 + 3 / 4 + 4 / 7) / 4),
        ("eleven", (3 * 1 + 5 * 3 / 4 + 3 * 4 / 7) / 11),
    ],
)
def test_the_figures_are_those_worked_by_hand(figure: str, expected: float) -> None:
    assert ap(figure, SCORES, LABELS) == pytest.approx(expected, abs=1e-12)


def test_a_recall_that_is_reached_exactly_counts() -> None:
    """3 of 10 positives are a recall of 0.3, which is below 3 times 0.1 in floating point."""
    labels = np.array([1] * 3 + [0] * 7 + [1] * 7, dtype=np.int8)
    scores = -np.arange(len(labels), dtype=np.float32)
    assert ap("eleven", scores, labels) == pytest.approx((4 * 1 + 7 * 10 / 17) / 11, abs=1e-12)


@pytest.mark.parametrize("number", range(60))
def test_each_figure_is_its_definition(number: int) -> None:
    scores, labels = cases()[number]
    points, known = curve(scores, labels), labels >= 0
    assert ap("area", scores, labels) == pytest.approx(area_by_definition(points), abs=1e-12)
    assert ap("eleven", scores, labels) == pytest.approx(eleven_by_definition(points), abs=1e-12)
    assert ap("plain", scores, labels) == pytest.approx(
        average_precision_score(labels[known], scores[known]), abs=1e-12
    )


@pytest.mark.parametrize("figure", ["area", "eleven", "plain"])
def test_a_perfect_ranking_has_1(figure: str) -> None:
    assert ap(figure, LABELS.astype(np.float32), LABELS) == 1.0


@pytest.mark.parametrize("figure", ["area", "eleven", "plain"])
def test_the_order_of_the_images_changes_nothing(figure: str) -> None:
    for scores, labels in cases():
        moved = np.random.default_rng(1).permutation(len(labels))
        assert ap(figure, scores[moved], labels[moved]) == ap(figure, scores, labels)


@pytest.mark.parametrize("figure", ["area", "eleven", "plain"])
def test_an_ignored_image_changes_nothing(figure: str) -> None:
    for place, score in ((0, 99.0), (4, 5.5), (8, -99.0)):
        more = np.insert(SCORES, place, score), np.insert(LABELS, place, -1)
        assert ap(figure, *more) == ap(figure, SCORES, LABELS)


@pytest.mark.parametrize("figure", ["area", "eleven", "plain"])
def test_without_a_positive_there_is_no_figure(figure: str) -> None:
    for labels in (np.zeros(8, np.int8), np.full(8, -1, np.int8)):
        assert np.isnan(ap(figure, SCORES, labels))


@pytest.mark.parametrize("figure", [area, eleven_points, uninterpolated])
def test_a_resample_is_the_figure_of_its_images(figure: object) -> None:
    """Weights of 0, 1, 2, … give what the images give that are left out or repeated."""
    assert callable(figure)
    random = np.random.default_rng(2)
    for scores, labels in cases():
        weights = random.integers(0, 4, size=(len(labels), 5)).astype(np.float32)
        found = figure(points_of(rank_images(scores, labels), weights))
        for column in range(5):
            rows = np.repeat(np.arange(len(labels)), weights[:, column].astype(int))
            expected = figure(points_of(rank_images(scores[rows], labels[rows])))[0] if len(rows) else np.nan
            assert found[column] == pytest.approx(expected, abs=1e-6, nan_ok=True)

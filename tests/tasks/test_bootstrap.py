from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.tasks.average_precision import area, points_of, rank_images
from sskt_edge.tasks.bootstrap import resampled_weights, resamples, standard_interval


def test_every_resample_holds_as_many_images_as_there_are() -> None:
    parts = list(resampled_weights(20_000, 300))
    assert len(parts) > 1 and sum(part.shape[1] for part in parts) == 300
    assert all(part.dtype == np.float32 and (part.sum(axis=0) == 20_000).all() for part in parts)
    drawn = np.concatenate(parts, axis=1)
    assert abs(drawn.var() - 1) < 0.01  # a count of draws with replacement: mean and variance are 1


def test_the_same_images_are_drawn_every_time() -> None:
    first, second = (np.concatenate(list(resampled_weights(50, 10)), axis=1) for _ in range(2))
    assert np.array_equal(first, second)


def test_work_is_bounded() -> None:
    assert resamples(5_000, 20) == 1000
    assert 200 <= resamples(40_000, 80) < resamples(10_000, 20) < 1000
    assert resamples(10**6, 1000) == 200


def test_the_interval_of_a_mean_is_the_one_in_the_books() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    means = np.concatenate([values @ part / 400 for part in resampled_weights(400, 1000)])
    low, high = standard_interval(float(values.mean()), means)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=half / 6)
    assert high == pytest.approx(values.mean() + half, abs=half / 6)


def test_values_without_spread_have_no_width() -> None:
    assert standard_interval(0.5, np.full(200, 0.5)) == (0.5, 0.5)
    assert standard_interval(0.5, np.full(200, np.nan)) == (0.5, 0.5)


def test_the_interval_lies_around_the_estimate_wherever_the_resamples_are() -> None:
    low, high = standard_interval(0.9, np.linspace(0, 0.5, 200))
    assert 0.9 - low == pytest.approx(high - 0.9) and high - low == pytest.approx(2 * 1.96 * 0.5 / 12**0.5, rel=0.01)


def test_the_interval_of_a_map_of_many_classes_holds_the_mean_one() -> None:
    """Of 20 classes of which each has few positives, the resamples' mAP are nearly all above that of the images."""
    random = np.random.default_rng(4)
    weights = np.concatenate(list(resampled_weights(400, 200)), axis=1)
    estimates, intervals = [], []
    for _ in range(60):
        labels = (random.random((400, 20)) < 0.05).astype(np.int8)
        scores = random.standard_normal((400, 20)) + 0.5 * labels
        rankings = [rank_images(scores[:, number], labels[:, number]) for number in range(20)]
        estimates.append(float(np.mean([area(points_of(ranking))[0] for ranking in rankings])))
        resampled = np.mean([area(points_of(ranking, weights)) for ranking in rankings], axis=0)
        assert (resampled > estimates[-1]).mean() > 0.5
        intervals.append(standard_interval(estimates[-1], resampled))
    expected = np.mean(estimates)
    assert np.mean([low <= expected <= high for low, high in intervals]) >= 0.9


def test_the_interval_of_an_ap_holds_the_true_one_in_nine_of_ten_draws() -> None:
    random = np.random.default_rng(3)

    def draw(
        images: int,
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], np.ndarray[tuple[int], np.dtype[np.int8]]]:
        labels = (random.random(images) < 0.15).astype(np.int8)
        return (random.standard_normal(images) + 1.5 * labels).astype(np.float32), labels

    true = area(points_of(rank_images(*draw(300_000))))[0]
    within = 0
    for _ in range(200):
        ranking = rank_images(*draw(300))
        estimate = float(area(points_of(ranking))[0])
        values = np.concatenate([area(points_of(ranking, part)) for part in resampled_weights(300, 300)])
        low, high = standard_interval(estimate, values)
        within += low <= true <= high
    assert within / 200 >= 0.88

"""Average precision (AP) of the ranking for one class, by the common definitions, for many resamples at once.

Images are ranked by descending score. Images of equal score enter the ranking together, as in scikit-learn, so the
order of the images does not matter. With TP positives and FP negatives down to a threshold, the precision there is
TP / (TP + FP) and the recall TP / P.

- `area`: the area under the precision/recall curve after each precision is raised to the largest one at the same recall
  or a higher one. PASCAL VOC from 2010 on.
- `eleven_points`: the mean of those raised precisions at the recalls 0, 0.1, …, 1. PASCAL VOC 2007.
- `uninterpolated`: the mean over the positives of the precision at each. scikit-learn's `average_precision_score`.

M. Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 111 (2015).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Figures = npt.NDArray[np.float64]


class Ranking(NamedTuple):
    """The M images whose label for one class is known, P of them positive, by descending score.

    Attributes:
        rows: int [M], the images.
        positives: int [P], indices into `rows`, ascending.
        ends: int [P], for each positive, the index of the last image with its score.
        counted: int [P], for each positive, the number of positives with its score or a higher one.
    """

    rows: npt.NDArray[np.intp]
    positives: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    counted: npt.NDArray[np.intp]


class Points(NamedTuple):
    """The curve at each of P positives, in B resamples.

    Attributes:
        weights: [P,B], how often the resample contains the positive.
        true_positives: [P,B], the true positives down to its score.
        precision: [P,B], the precision down to its score; 0 if the resample contains no image so far.
    """

    weights: Floats
    true_positives: Floats
    precision: Floats


def rank_images(scores: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]) -> Ranking:
    """Rank one class's images. [N], [N] of 1, 0 and -1 (ignored) → Ranking."""
    known = np.flatnonzero(labels >= 0)
    rows = known[np.argsort(-scores[known], kind="stable")]
    is_positive, ordered = labels[rows] == 1, scores[rows]
    positives = np.flatnonzero(is_positive)
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(rows) - 1)
    ends = last[np.searchsorted(last, positives)] if len(rows) else positives
    return Ranking(rows, positives, ends, np.searchsorted(positives, ends, side="right"))


def points_of(ranking: Ranking, weights: npt.NDArray[np.float32] | None = None) -> Points:
    """The curve at each positive.

    Args:
        ranking: the ranking for one class.
        weights: float32 [N,B], how often each of B resamples contains each image; by default, one resample that
            contains every image once.
    """
    if weights is None:
        found = ranking.counted[:, None].astype(np.float64)
        return Points(np.ones_like(found), found, found / (ranking.ends[:, None] + 1))
    own = weights[ranking.rows[ranking.positives]]
    true = np.cumsum(own, axis=0)[ranking.counted - 1]
    total = _sums_to(weights, ranking)
    precision = np.divide(true, total, out=np.zeros_like(true), where=total > 0)
    return Points(own, true, precision)


def _sums_to(weights: Floats, ranking: Ranking) -> Floats:
    """float32 [N,B] → [P,B], the sum of the weights down to each positive's score; exact to 2^24 images."""
    places, which = np.unique(ranking.ends, return_inverse=True)
    if not len(places):
        return weights[:0]
    ordered = weights[ranking.rows[: places[-1] + 1]]
    starts = np.concatenate([[0], places[:-1] + 1])
    return np.asarray(np.cumsum(np.add.reduceat(ordered, starts, axis=0), axis=0)[which])


def area(points: Points) -> Figures:
    """The area under the raised curve. → float64 [B]; NaN for a resample without a positive."""
    return _mean(points.weights, _raised(points))


def uninterpolated(points: Points) -> Figures:
    """The mean precision at the positives. → float64 [B]; NaN for a resample without a positive."""
    return _mean(points.weights, points.precision)


def eleven_points(points: Points) -> Figures:
    """The mean raised precision at the recalls 0, 0.1, …, 1. → float64 [B]; NaN for a resample without a positive."""
    if not len(points.weights):
        return np.full(points.weights.shape[1], np.nan)
    found, raised = points.true_positives, _raised(points)
    # In whole numbers: a recall of 3/10 is not below 0.1 · 3.
    reached = np.stack([np.argmax(10 * found >= step * found[-1], axis=0) for step in range(11)])
    mean = np.take_along_axis(raised, reached, axis=0).mean(axis=0, dtype=np.float64)
    return np.where(found[-1] > 0, mean, np.nan)


def _raised(points: Points) -> Floats:
    return np.maximum.accumulate(points.precision[::-1], axis=0)[::-1]


def _mean(weights: Floats, values: Floats) -> Figures:
    """The weighted mean over the positives. [P,B], [P,B] → float64 [B]."""
    total = weights.sum(axis=0, dtype=np.float64)
    mean = np.full(len(total), np.nan)
    np.divide(np.einsum("pb,pb->b", weights, values, dtype=np.float64), total, out=mean, where=total > 0)
    return mean

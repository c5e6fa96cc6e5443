"""mAP and related figures from logits, in numpy, with a bootstrap interval over images.

mAP is the mean AP over the classes with at least one positive. Labels of -1 are ignored: the image is left out of the
ranking for that class. An image with a logit that is not finite counts as the worst answer: it is last in the ranking
for a class that it has, and first in the ranking for a class that it does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import DataError
from sskt_edge.tasks.average_precision import (
    Figures,
    Ranking,
    area,
    eleven_points,
    points_of,
    rank_images,
    uninterpolated,
)
from sskt_edge.tasks.bootstrap import resampled_weights, resamples, standard_interval
from sskt_edge.tasks.score_table import Alternatives, Head, ScoreTable, as_share
from sskt_edge.tasks.task import Drop, Labels, Logits, plain_figures, scores_as_json

METRIC = "mAP"


@dataclass(frozen=True, eq=False)
class RankingScores:
    """The figures for rankings and decisions.

    Attributes:
        images: the number of images.
        value: mAP by the area under the raised curve, as in PASCAL VOC from 2010 on.
        interval: the 95 % interval for the mean mAP of other draws of as many images, if these are a random sample.
        voc2007: mAP by 11 points, as in PASCAL VOC 2007.
        uninterpolated: mAP as in scikit-learn.
        image_ap: the uninterpolated AP of an image's ranking of classes, averaged over the images with a class.
        per_class: float64 [K], the AP of each class, by the area; NaN for a class without positives.
        positives: int64 [K], the number of images that have the class.
        precision: float64 [K], the share of images with logit > 0 that have the class; NaN if there are none.
        recall: float64 [K], the share of images with the class that have logit > 0; NaN if there are none.
        not_finite: how many images have a logit that is not finite.
    """

    images: int
    value: float
    interval: tuple[float, float]
    voc2007: float
    uninterpolated: float
    image_ap: float
    per_class: Figures
    positives: npt.NDArray[np.int64]
    precision: Figures
    recall: Figures
    not_finite: int

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return METRIC

    @property
    def further(self) -> dict[str, float]:
        """The mAP by the other definitions, and the mean AP of the images."""
        return {"mAP VOC2007": self.voc2007, "mAP uninterpolated": self.uninterpolated, "image AP": self.image_ap}

    def tables(self, classes: Sequence[str]) -> Alternatives:
        """AP, precision and recall of each class."""
        columns = (self.per_class, self.precision, self.recall)
        rows = tuple(
            (name, *(as_share(float(column[number])) for column in columns), f"{self.positives[number]:,}")
            for number, name in enumerate(classes)
        )
        heads = (Head("class", folds=True), Head("AP", True, is_main=True), Head("precision", True))
        title = "average precision (VOC 2010); precision and recall at probability 1/2"
        return ((ScoreTable(title, (*heads, Head("recall", True), Head("of", True)), rows),),)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return scores_as_json(self) | {
            "positives": self.positives.tolist(),
            "precision": plain_figures(self.precision),
            "recall": plain_figures(self.recall),
        }


def mean_ap(logits: Logits, labels: Labels) -> float:
    """The mAP by the area. [N,K], [N,K] of 1, 0, -1 → 0…1.

    Raises:
        DataError: shapes that do not fit, or no image has a class.
    """
    return float(_mean_area(_rankings(logits, labels))[0])


def ranking_scores(logits: Logits, labels: Labels) -> RankingScores:
    """Compute all figures. [N,K], [N,K] of 1, 0, -1 → RankingScores.

    Raises:
        DataError: shapes that do not fit, or no image has a class.
    """
    rankings = _rankings(logits, labels)
    curves = [points_of(ranking) for ranking in rankings]
    each = np.array([[figure(curve)[0] for curve in curves] for figure in (area, eleven_points, uninterpolated)])
    value, voc2007, plain = np.nanmean(each, axis=1).tolist()
    low, high = standard_interval(value, _resampled(len(labels), [rankings])[0])
    finite = np.asarray(np.isfinite(logits).all(axis=1))
    said = (logits > 0) & finite[:, None] & (labels >= 0)
    found, positives = (said & (labels == 1)).sum(axis=0), (labels == 1).sum(axis=0)
    return RankingScores(
        images=len(labels),
        value=value,
        interval=(max(low, 0.0), min(high, 1.0)),
        voc2007=voc2007,
        uninterpolated=plain,
        image_ap=image_ap(logits, labels),
        per_class=each[0],
        positives=positives.astype(np.int64),
        precision=_ratio(found, said.sum(axis=0)),
        recall=_ratio(found, positives),
        not_finite=int((~finite).sum()),
    )


def mean_ap_drop(before: Logits, after: Logits, labels: Labels) -> Drop:
    """The mAP of `before` minus that of `after`, with the interval of a bootstrap that draws the same images for both.

    If no image has a class, nothing is known: the drop is 0, with an interval from -1 to 1.

    Raises:
        DataError: shapes that do not fit.
    """
    if labels.ndim == 2 and not (labels == 1).any():
        return Drop(len(labels), 0.0, (-1.0, 1.0))
    both = [_rankings(logits, labels) for logits in (before, after)]
    value = float(_mean_area(both[0])[0] - _mean_area(both[1])[0])
    first, second = _resampled(len(labels), both)
    return Drop(len(labels), value, standard_interval(value, first - second))


def image_ap(logits: Logits, labels: Labels) -> float:
    """The uninterpolated AP of an image's ranking of classes, averaged over images with a class. [N,K], [N,K] → 0…1."""
    scores = _worst_where_not_finite(logits, labels)
    order = np.argsort(-scores, axis=1, kind="stable")
    scores, ranked = np.take_along_axis(scores, order, axis=1), np.take_along_axis(labels, order, axis=1)
    places = np.arange(labels.shape[1])
    is_last = np.append(scores[:, 1:] != scores[:, :-1], np.ones((len(scores), 1), dtype=bool), axis=1)
    ends = np.minimum.accumulate(np.where(is_last, places, len(places))[:, ::-1], axis=1)[:, ::-1]
    true, known = (np.take_along_axis(np.cumsum(which, axis=1), ends, axis=1) for which in (ranked == 1, ranked >= 0))
    positive = ranked == 1
    precision = np.divide(true, known, out=np.zeros(true.shape), where=positive)
    counts = positive.sum(axis=1)
    return float((precision.sum(axis=1)[counts > 0] / counts[counts > 0]).mean())


def _rankings(logits: Logits, labels: Labels) -> list[Ranking]:
    if logits.shape != labels.shape or labels.ndim != 2 or not len(labels):
        raise DataError(f"Got logits {list(logits.shape)} for labels {list(labels.shape)}; expected [N,classes] twice.")
    if not (labels == 1).any():
        raise DataError(f"None of the {len(labels)} images has a class, so mAP is not defined. Add images.")
    scores = _worst_where_not_finite(logits, labels)
    return [rank_images(scores[:, number], labels[:, number]) for number in range(labels.shape[1])]


def _worst_where_not_finite(logits: Logits, labels: Labels) -> Logits:
    finite = np.isfinite(logits).all(axis=1, keepdims=True)
    worst = np.where(labels == 1, -np.inf, np.inf).astype(logits.dtype)
    return np.where(finite, logits, worst)


def _mean_area(rankings: Sequence[Ranking], weights: npt.NDArray[np.float32] | None = None) -> Figures:
    """The mAP in each resample. → float64 [B]; NaN if the resample has no positive at all."""
    areas = np.array([area(points_of(ranking, weights)) for ranking in rankings if len(ranking.positives)])
    return _ratio(np.nansum(areas, axis=0), (~np.isnan(areas)).sum(axis=0))


def _resampled(images: int, several: Sequence[list[Ranking]]) -> list[Figures]:
    """The mAP in each resample for the rankings of several networks; the resamples are the same for all."""
    parts: list[list[Figures]] = [[] for _ in several]
    for weights in resampled_weights(images, resamples(images, len(several[0]))):
        for found, rankings in zip(parts, several, strict=True):
            found.append(_mean_area(rankings, weights))
    return [np.concatenate(found) for found in parts]


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Figures:
    out = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out

"""Fit probes: one on each source's stored logits, and one on those of all sources together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import Bar, Progress
from sskt_edge.data.images import ImageSet
from sskt_edge.sources.probe.folds import folds_of, rarest_strata
from sskt_edge.sources.probe.probe import Probe, ProbeFacts
from sskt_edge.sources.probe.views_to_fit import views_to_fit
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.tasks.linear_fit import one_blas_thread
from sskt_edge.tasks.score import score_from
from sskt_edge.tasks.task import Labels, Linear, Task

# The inverse of the regularisation of the mean loss, for inputs of unit variance.
_STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# With this many views the search for the strength takes seconds, and more would hardly change the choice.
_SEARCHED = 2_500
# With this many images it is known well enough whether a probe knows anything.
_GAINS = 2_000
# With more views the layer itself hardly changes either.
_MOST = 16_384
_TEMPERATURES = np.geomspace(0.2, 20, 93)  # 5 % apart


def fit_probes(task: Task, images: ImageSet, classes: Sequence[str], labels: SoftLabels, progress: Progress) -> Probe:
    """The probe of the lowest held-out loss, with the facts of all; see `fit_each`."""
    fits = fit_each(task, images, classes, labels, progress)
    return replace(fits[0], facts=tuple(fit.facts[0] for fit in fits))


def fit_each(
    task: Task, images: ImageSet, classes: Sequence[str], labels: SoftLabels, progress: Progress
) -> list[Probe]:
    """Fit a probe on each source and, if there are several, one on all together, in the order of their held-out loss.

    Args:
        task: the task that says what the images' labels mean.
        images: the labelled training images.
        classes: the names of the classes.
        labels: the views of the images, and the logits of the sources.
        progress: draws a bar.

    Raises:
        DataError: a class has fewer than two different images, or a source's logits are not all finite.
    """
    folds = folds_of(task, images, classes)
    slots = np.arange(labels.schedule.count)
    slots = slots[folds[labels.schedule.rows(slots)] >= 0]
    slots = slots[views_to_fit(labels.schedule.rows(slots), rarest_strata(task, images.labels), _MOST)]
    rows = labels.schedule.rows(slots)
    logits = {name: _finite(name, reader.read(slots)) for name, reader in labels.readers.items()}
    candidates = [(name,) for name in logits] + ([tuple(logits)] if len(logits) > 1 else [])
    with progress.bar("fit probe", _steps(len(candidates), folds)) as bar, one_blas_thread():
        fits = [
            _Views(task, images.labels, folds, rows, len(classes), labels.features).fit(
                {name: logits[name] for name in names}, bar
            )
            for names in candidates
        ]
    return sorted(fits, key=lambda fit: fit.facts[0].loss)


def fit_probe_on(
    task: Task,
    labels: Labels,
    folds: NDArray[np.intp],
    rows: NDArray[np.intp],
    logits: Mapping[str, NDArray[np.float32]],
    classes: Sequence[str],
    progress: Progress,
    features: Collection[str] = (),
) -> Probe:
    """Fit a probe on the logits of given views.

    Args:
        task: the task that says what the labels mean.
        labels: the labels of the images.
        folds: the fold of each image; see `folds_of`. Views of images in no fold are left out.
        rows: the image of each view, [n].
        logits: the logits of each source, [n,C].
        classes: the names of the classes.
        progress: draws a bar.
        features: the names of the sources that give features in place of logits.

    Raises:
        DataError: a source's logits are not all finite.
    """
    views = folds[rows] >= 0
    inputs = {name: _finite(name, part[views]) for name, part in logits.items()}
    with progress.bar("fit probe", _steps(1, folds)) as bar, one_blas_thread():
        return _Views(task, labels, folds, rows[views], len(classes), frozenset(features)).fit(inputs, bar)


def _steps(probes: int, folds: NDArray[np.intp]) -> int:
    """The number of layers that are fitted."""
    return probes * (len(_STRENGTHS) + 1) * (int(folds.max()) + 1)


def _finite(name: str, logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same logits.

    Raises:
        DataError: one is not finite.
    """
    if not np.isfinite(logits).all():
        raise DataError(
            f"Source '{name}' gave answers that are not finite, so no probe can be fitted on them. Leave it out: "
            f"method.sources."
        )
    return logits


@dataclass(frozen=True)
class _Views:
    """The views that probes are fitted on: the row of each view's image, [n]; labels and folds are those of rows.

    The logits of a view are centred, since no softmax depends on their mean; the features of the sources in `features`
    are not.
    """

    task: Task
    labels: Labels
    folds: NDArray[np.intp]
    rows: NDArray[np.intp]
    classes: int
    features: frozenset[str]

    def fit(self, logits: Mapping[str, NDArray[np.float32]], bar: Bar) -> Probe:
        """The calibrated probe on these sources."""
        centred = {name: self._centred(name, part) for name, part in logits.items()}
        scale = {name: 1 / max(float(part.std()), 1e-6) for name, part in centred.items()}
        inputs = np.concatenate([part * np.float32(scale[name]) for name, part in centred.items()], axis=1)
        strength, start = self._strength(inputs, bar)
        views = np.arange(len(self.rows))
        layers = [self._fitted(inputs, views, fold, strength, start[fold], bar) for fold in self._folds]
        held_out = self._held_out(inputs, layers)
        loss, temperature = self._calibrated(held_out, self.labels[self.rows])
        answered = np.unique(self.rows)
        answers = self._by_image(held_out / np.float32(temperature))
        scores = self.task.scores(answers[answered], self.labels[answered], self.classes)
        gain, gain_error = self._gain(held_out / np.float32(temperature))
        facts = ProbeFacts(
            sources=tuple(logits),
            score=score_from(scores),
            chance=self.task.chance(self.labels[answered], self.classes),
            loss=loss,
            gain=gain,
            gain_error=gain_error,
            temperature=temperature,
            strength=strength,
            views=len(self.rows),
        )
        widths = {name: part.shape[1] for name, part in logits.items()}
        raw = tuple(self._on_raw(layer, widths, scale, temperature) for layer in layers)
        return Probe((facts,), raw, self.folds.astype(np.int64))

    def _centred(self, name: str, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        if name in self.features:
            return logits
        return np.asarray(logits - logits.mean(axis=1, keepdims=True), dtype=np.float32)

    @property
    def _folds(self) -> range:
        return range(int(self.folds.max()) + 1)

    def _strength(self, inputs: NDArray[np.float32], bar: Bar) -> tuple[float, list[Linear]]:
        """The strength with the lowest held-out loss on the first views, and the layer of each fold with it."""
        searched = views_to_fit(self.rows, rarest_strata(self.task, self.labels), _SEARCHED)
        best: tuple[float, float, list[Linear]] | None = None
        layers = [Linear.zeros(inputs.shape[1], self.classes) for _ in self._folds]
        for strength in _STRENGTHS:
            layers = [self._fitted(inputs, searched, fold, strength, layers[fold], bar) for fold in self._folds]
            loss, _ = self._calibrated(self._held_out(inputs, layers)[searched], self.labels[self.rows[searched]])
            if best is None or loss < best[0]:
                best = loss, strength, layers
        assert best is not None
        return best[1:]

    def _fitted(
        self,
        inputs: NDArray[np.float32],
        views: NDArray[np.intp],
        fold: int,
        strength: float,
        start: Linear,
        bar: Bar,
    ) -> Linear:
        """The layer that has not seen a fold, as one step of the bar."""
        layer = self._layer(inputs, views, fold, strength, start)
        bar.advance()
        return layer

    def _layer(
        self, inputs: NDArray[np.float32], views: NDArray[np.intp], fold: int, strength: float, start: Linear
    ) -> Linear:
        """A layer fitted on these views, except those of a fold."""
        others = views[self.folds[self.rows[views]] != fold]
        return self.task.fit_linear(inputs[others], self.labels[self.rows[others]], start, strength / len(others))

    def _held_out(self, inputs: NDArray[np.float32], layers: Sequence[Linear]) -> NDArray[np.float32]:
        """The logits of each view by the layer that has not seen its image, [n,K]."""
        logits = np.empty((len(inputs), self.classes), dtype=np.float32)
        for fold, layer in enumerate(layers):
            here = self.folds[self.rows] == fold
            logits[here] = layer.logits(inputs[here])
        return logits

    def _gain(self, logits: NDArray[np.float32]) -> tuple[float, float]:
        """How much lower the held-out loss is than that of the classes' frequencies, with its standard error."""
        blank = np.zeros((len(self.rows), 1), dtype=np.float32)
        start, views = Linear.zeros(1, self.classes), np.arange(len(self.rows))
        frequencies = self._held_out(blank, [self._layer(blank, views, fold, 1.0, start) for fold in self._folds])
        order = np.argsort(self.rows, kind="stable")
        of_images = np.split(order, np.flatnonzero(np.diff(self.rows[order])) + 1)
        gains = [
            self._loss(frequencies[own], self.rows[own]) - self._loss(logits[own], self.rows[own])
            for own in of_images[:: -(-len(of_images) // _GAINS)]
        ]
        return float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(len(gains)))

    def _loss(self, logits: NDArray[np.float32], rows: NDArray[np.intp]) -> float:
        """The task's mean loss on views of these images."""
        return float(self.task.loss(torch.from_numpy(logits), torch.from_numpy(self.labels[rows])))

    def _by_image(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean logits of each image's views, [N,K]; 0 for an image without any."""
        sums = np.zeros((len(self.labels), self.classes))
        np.add.at(sums, self.rows, logits)
        counts = np.bincount(self.rows, minlength=len(self.labels))
        return np.asarray(sums / np.maximum(counts, 1)[:, None], dtype=np.float32)

    def _calibrated(self, logits: NDArray[np.float32], labels: Labels) -> tuple[float, float]:
        """The task's mean loss at the temperature at which it is lowest, and that temperature."""
        ours, theirs = torch.from_numpy(logits), torch.from_numpy(labels)
        losses = [float(self.task.loss(ours / temperature, theirs)) for temperature in _TEMPERATURES]
        best = int(np.argmin(losses))
        return losses[best], float(_TEMPERATURES[best])

    def _on_raw(
        self, layer: Linear, widths: Mapping[str, int], scale: Mapping[str, float], temperature: float
    ) -> Linear:
        """The layer on what the sources give: scale, centring and temperature become part of the weights."""
        parts, at = [], 0
        for name, width in widths.items():
            weights = layer.weights[at : at + width].astype(np.float64) * scale[name]
            # (x - mean(x)) · W = x · (W - mean(W))
            parts.append(weights if name in self.features else weights - weights.mean(axis=0))
            at += width
        weights = np.concatenate(parts) / temperature
        return Linear(weights.astype(np.float32), (layer.bias / temperature).astype(np.float32))

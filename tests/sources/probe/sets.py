"""Images with labels, and soft labels that tell their classes apart as well as a test wants."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.input import ViewPolicy, input_of
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule

SIZE, SOURCE_CLASSES, VIEWS = 16, 12, 3


class Logits:
    """Logits in memory, [views,C]."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self._logits = logits

    def read(self, slots: NDArray[np.intp]) -> NDArray[np.float32]:
        return self._logits[slots]


def image_set(labels: NDArray[Any], contents: NDArray[Any] | None = None) -> ImageSet:
    """One image a label; those with the same number in `contents` are copies."""
    count = len(labels)
    contents = np.arange(count) if contents is None else contents
    hashes = [np.frombuffer(hashlib.sha256(str(one).encode()).digest(), np.uint8) for one in contents.tolist()]
    blank = np.broadcast_to(np.zeros(1, dtype=np.uint8), (count, SIZE, SIZE, 3))
    return ImageSet({SIZE: blank}, labels, np.stack(hashes), tuple(f"{number}.png" for number in range(count)))


def soft_labels(images: ImageSet, signal: NDArray[Any], noise: float, name: str = "source") -> SoftLabels:
    """One source's soft labels of three views an image: `signal`, [N,K], through a random layer, and noise."""
    kind = input_of("imagefolder")
    plan = LabelPlan(kind, ViewPolicy(SIZE, 2, None, True), 0, VIEWS, 4)
    schedule = ViewSchedule(images, plan, VIEWS)
    return SoftLabels(schedule, {name: logits_of(signal, noise)})


def logits_of(signal: NDArray[Any], noise: float, seed: int = 0) -> Logits:
    """The logits of a source for every view, in the order of its slots."""
    random = np.random.default_rng(seed)
    layer = random.normal(size=(signal.shape[1], SOURCE_CLASSES))
    of_image = signal @ layer + noise * random.normal(size=(len(signal), SOURCE_CLASSES))
    views = [of_image + 0.1 * noise * random.normal(size=of_image.shape) for _ in range(VIEWS)]
    return Logits((5 + np.concatenate(views)).astype(np.float32))


def one_hot(labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    return np.asarray(np.eye(classes)[labels])

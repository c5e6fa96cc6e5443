"""Queries to a small real source about a few images, and a count of what it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.image.image import IMAGE
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.session import Session
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engines import SourceEngine
from sskt_edge.sources.judge import LogitsJudge
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.source import Source, TorchSource
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from sskt_edge.sources.views.square_view import SquareView
from tests.sources.small import CPU, network

COUNT, SIZE, BATCH = 10, 8, 4
Spoil = Callable[[NDArray[np.float32]], NDArray[np.float32]]
MOVED = ViewPolicy(SIZE, padding=2, flip=True)


def image_set(count: int = COUNT, first: int = 0) -> ImageSet:
    """Images number `first` and so on, at sides 8 and 16."""
    squares = {
        size: np.stack([_image(number, size) for number in range(first, first + count)]) for size in (SIZE, 2 * SIZE)
    }
    digests = b"".join(hashlib.sha256(image.tobytes()).digest() for image in squares[SIZE])
    hashes = np.frombuffer(digests, np.uint8).reshape(-1, 32)
    names = tuple(f"train[{number}]" for number in range(first, first + count))
    return ImageSet(squares, np.zeros(count, dtype=np.int64), hashes, names)


def view_schedule(
    images: ImageSet | None = None,
    views: int | Literal["fresh"] = 2,
    passes: int = 3,
    policy: ViewPolicy = MOVED,
    seed: int = 0,
) -> ViewSchedule:
    return ViewSchedule(images or image_set(), LabelPlan(IMAGE, policy, seed, views, BATCH), passes)


def small_source(classes: int = 5, seed: int = 0, **pixels: tuple[float, float, float]) -> TorchSource:
    return TorchSource("small", "test/small", network(classes, seed), Pixels(SIZE, **pixels), CPU)


def label_query(source: Source, *schedules: ViewSchedule, size: int = SIZE, top_k: int = 0) -> LabelQuery:
    return LabelQuery(source, SquareView("native", size, SIZE), schedules or (view_schedule(),), CPU, top_k)


def rules(backend: str = "auto", precision: str = "auto", **gate: float) -> EngineRules:
    return EngineRules(backend, precision, LogitsJudge(GateOptions.model_validate(gate)))


class Counted:
    """A source that keeps the sizes of the batches that its sessions ran, and may have engines that do wrong.

    Args:
        source: the real one.
        spoil: engine → what it makes of its logits.
    """

    def __init__(self, source: TorchSource, spoil: Mapping[SourceEngine, Spoil] | None = None) -> None:
        self._source, self._spoil, self.batches = source, spoil or {}, list[int]()
        self.name, self.classes, self.input_size = source.name, source.classes, source.input_size
        self.facts, self.identity, self.remark = source.facts, source.identity, source.remark
        self.outputs, self.license = source.outputs, source.license

    def engines(self) -> tuple[SourceEngine, ...]:
        return self._source.engines()

    def open(
        self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
    ) -> Session:
        session = self._source.open(engine, size, batch, calibration)
        return _CountedSession(session, self.batches, self._spoil.get(engine, lambda logits: logits))


class _CountedSession:
    def __init__(self, session: Session, batches: list[int], spoil: Spoil) -> None:
        self._session, self._batches, self._spoil = session, batches, spoil
        self.backend, self.provider, self.precision = session.backend, session.provider, session.precision
        self.versions, self.max_batch = session.versions, session.max_batch

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._batches.append(len(images))
        return self._spoil(self._session.run(images))


def _image(number: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng([number, size]).integers(0, 256, (size, size, 3), dtype=np.uint8)

"""The accuracy, latency and size of several targets, and which of them no other surpasses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sskt_edge.bundle.manifest import Manifest
from sskt_edge.recipe.models import Recipe
from sskt_edge.tasks.task import task_named


@dataclass(frozen=True)
class SizedTarget:
    """A target with the side of its input, written as "resnet20@64"."""

    model: str
    size: int

    @property
    def name(self) -> str:
        """As it is written."""
        return f"{self.model}@{self.size}"


@dataclass(frozen=True)
class FrontPoint:
    """One file of a bundle, run by one library.

    Attributes:
        target: the target with its size.
        precision: the file's precision.
        runner: the library and what it ran on, such as "onnxruntime-cpu", when the latency was measured.
        value: the task's metric of this file on the test images, from 0 to 1.
        interval: its 95 % interval.
        latency_ms: the median time for one image, in milliseconds.
        bytes: the size of the file.
        holds: whether its answers are within tolerance, as far as the images can tell.
        bundle: the bundle's folder.
        scored_by: the library, and what it ran on, that the metric was measured with.
    """

    target: SizedTarget
    precision: str
    runner: str
    value: float
    interval: tuple[float, float]
    latency_ms: float
    bytes: int
    holds: bool
    bundle: Path
    scored_by: str


@dataclass(frozen=True)
class Front:
    """The points of all targets.

    Attributes:
        folder: the study's folder.
        recipe: the recipe that the targets change.
        targets: the targets that were asked for, in order.
        points: every file by every library, in the order of the targets.
        measured_on: where latencies were measured: "this machine", the files of reports, or both.
        missing: target → why it has no points.
    """

    folder: Path
    recipe: Recipe
    targets: tuple[SizedTarget, ...]
    points: tuple[FrontPoint, ...] = ()
    measured_on: str = "this machine"
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The task's metric."""
        return task_named(self.recipe.task.name).metric

    @cached_property
    def by_latency(self) -> tuple[FrontPoint, ...]:
        """The points that no other surpasses in the metric without taking longer, the quickest first."""
        return pareto(self.points, lambda point: point.latency_ms)

    @cached_property
    def by_size(self) -> tuple[FrontPoint, ...]:
        """The points that no other surpasses in the metric without being larger, the smallest first."""
        return pareto(self.points, lambda point: point.bytes)

    def best(self, most_ms: float | None = None, most_mb: float | None = None) -> FrontPoint | None:
        """The point with the highest metric within the limits; None if no point is within them."""
        fit = [
            point
            for point in self.points
            if point.holds
            and (most_ms is None or point.latency_ms <= most_ms)
            and (most_mb is None or point.bytes <= most_mb * 1e6)
        ]
        return max(fit, key=lambda point: (point.value, -point.latency_ms), default=None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.recipe.name,
            "folder": self.folder,
            "metric": self.metric,
            "measured_on": self.measured_on,
            "targets": [target.name for target in self.targets],
            "points": [
                {
                    "target": point.target.name,
                    "precision": point.precision,
                    "runner": point.runner,
                    "value": point.value,
                    "interval": point.interval,
                    "latency_ms": point.latency_ms,
                    "bytes": point.bytes,
                    "holds": point.holds,
                    "front_by_latency": point in self.by_latency,
                    "front_by_size": point in self.by_size,
                    "bundle": point.bundle,
                    "scored_by": point.scored_by,
                }
                for point in self.points
            ],
            "missing": self.missing,
        }


def pareto(points: Iterable[FrontPoint], cost: Callable[[FrontPoint], float]) -> tuple[FrontPoint, ...]:
    """The points that hold and that no other point surpasses, by rising cost.

    A point is surpassed if another has at least its metric at no higher cost, and is better in one of the two. Of
    points that are equal in both, such as one file by two libraries, the quickest one counts, then the smallest.
    """
    found: list[FrontPoint] = []
    held = [one for one in points if one.holds]
    for point in sorted(held, key=lambda one: (cost(one), -one.value, one.latency_ms, one.bytes)):
        if not found or point.value > found[-1].value:
            found.append(point)
    return tuple(found)


def points_of(target: SizedTarget, manifest: Manifest, bundle: Path) -> list[FrontPoint]:
    """Every file of a bundle by every library that was measured at its export."""
    return [
        FrontPoint(
            target=target,
            precision=precision,
            runner=one.runner,
            value=one.value,
            interval=one.interval,
            latency_ms=one.latency_ms,
            bytes=record.bytes,
            holds=not one.reasons,
            bundle=bundle,
            scored_by=one.runner,
        )
        for precision, record in manifest.precisions.items()
        for one in record.measured
    ]

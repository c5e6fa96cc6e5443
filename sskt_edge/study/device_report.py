"""Latencies that were measured on a device: the output of `bench --json`, for the points of a front."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sskt_edge.bundle.manifest import Manifest
from sskt_edge.common.errors import StudyError
from sskt_edge.study.front_result import FrontPoint, SizedTarget


@dataclass(frozen=True)
class DeviceLatency:
    """One file by one library, measured on a device.

    Attributes:
        precision: the file's precision.
        sha256: the hash of the file.
        runner: the library and what it ran on, such as "tensorrt-cuda".
        ms: the median time for one image, in milliseconds.
    """

    precision: str
    sha256: str
    runner: str
    ms: float


def read_report(report: Path) -> list[DeviceLatency]:
    """What the output of `bench --json` says of one image at a time.

    Raises:
        StudyError: it cannot be read, is not such a report, or has nothing at batch 1.
    """
    try:
        raw: Any = json.loads(report.read_text(encoding="utf-8"))
        found = [
            DeviceLatency(
                str(one["precision"]),
                str(one["sha256"]),
                f"{one['backend']}-{one['provider']}",
                float(one["latency"]["p50_ms"]),
            )
            for one in raw["measurements"]
            if one["batch"] == 1
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"--bench: '{report}' is not the output of this version's sskt-edge bench --json "
            f"({type(error).__name__}: {error})."
        ) from error
    if not found:
        raise StudyError(f"--bench: '{report}' has no file at batch 1. Run bench with --batch 1.")
    return found


def with_latencies(
    points: Sequence[FrontPoint], found: Sequence[DeviceLatency], manifest: Manifest, target: SizedTarget
) -> list[FrontPoint]:
    """The points of a bundle on a device.

    The accuracy is that measured at the export, by the same library if it was among them, otherwise by the first.

    Args:
        points: the points that were measured at the export.
        found: the device's latencies.
        manifest: the bundle's manifest.
        target: the target, for messages.

    Raises:
        StudyError: the report is about other files.
    """
    files = {str(name): record.sha256 for name, record in manifest.precisions.items()}
    on_device = []
    for one in found:
        if files.get(one.precision) != one.sha256:
            raise StudyError(
                f"--bench {target.name}: the report is about another {one.precision} file than the one in "
                f"'{points[0].bundle}'. Copy that bundle to the device, and run bench there again."
            )
        own = [point for point in points if point.precision == one.precision]
        point = next((point for point in own if point.runner == one.runner), own[0])
        on_device.append(replace(point, runner=one.runner, latency_ms=one.ms, scored_by=point.runner))
    return on_device

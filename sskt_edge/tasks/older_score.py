"""Convert the accuracy stored by versions before the task `multi_label` to the present form."""

from __future__ import annotations

from typing import Any

from sskt_edge.tasks.accuracy import METRIC
from sskt_edge.tasks.wilson import wilson_interval

TASK = "single_label"
"""The only task of those versions."""


def score_from_older(older: Any) -> Any:
    """{"images", "top1", "top5"} → the JSON of a `Score`; invalid values stay invalid.

    >>> score_from_older({"images": 4, "top1": 1.0, "top5": None})["value"]
    1.0
    """
    if not isinstance(older, dict) or "top1" not in older:
        return older
    others = {name: value for name, value in older.items() if name not in ("top1", "top5")}
    top5 = older.get("top5")
    found = {"metric": METRIC, "value": older["top1"], "further": {} if top5 is None else {"top5": top5}}
    return {**others, **found, "interval": interval_from_older(older["top1"], older.get("images"))}


def interval_from_older(top1: Any, images: Any) -> list[float]:
    """Wilson's interval for an accuracy; an invalid interval if the values are not numbers."""
    if isinstance(top1, (int, float)) and 0 <= top1 <= 1 and isinstance(images, int) and 0 < images < 1 << 62:
        return list(wilson_interval(float(top1), images))
    return []

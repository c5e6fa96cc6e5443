"""Convert a result.json of an older version to the current one."""

from __future__ import annotations

from typing import Any

from sskt_edge.tasks.older_score import TASK, score_from_older

VERSION = 3


def today_from_older(raw: dict[str, Any]) -> dict[str, Any]:
    """The JSON of version 1 or 2, which know only one class per image → that of version 3.

    Invalid values stay invalid.
    """
    others = {name: value for name, value in raw.items() if name != "validation_top1"}
    validation = {"validation": raw["validation_top1"]} if "validation_top1" in raw else {}
    return {**others, **validation, "task": TASK, "test": score_from_older(raw.get("test"))}

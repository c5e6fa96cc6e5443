"""Convert a manifest of an older schema to the current one."""

from __future__ import annotations

from typing import Any

from sskt_edge.tasks.older_score import TASK, interval_from_older, score_from_older
from sskt_edge.tasks.tolerances import RENAMED

OLDEST = 2
UNSEALED = 2  # its manifests have no hash of their own


def today_from_older(raw: dict[str, Any]) -> dict[str, Any]:
    """The JSON of schema 2 or 3 → that of schema 4. Invalid values stay invalid.

    Schemas 2 and 3 know only square images, given by height and width, with one class per image.
    """
    return {
        **raw,
        "schema_version": 4,
        "task": TASK,
        "input": _input(raw.get("input")),
        "parity": _parity(raw.get("parity")),
        "test": score_from_older(raw.get("test")),
        "precisions": _precisions(raw.get("precisions")),
    }


def _parity(older: Any) -> Any:
    """The limits under their current names."""
    return {RENAMED.get(key, key): value for key, value in older.items()} if isinstance(older, dict) else older


def _input(older: Any) -> Any:
    """{"height": S, "width": S, "channels": 3, "layout": "NHWC", …} → {"kind": "image", "shape": [S,S,3], …}."""
    if not isinstance(older, dict):
        return older
    of_shape = ("height", "width", "channels", "layout")
    others = {name: value for name, value in older.items() if name not in of_shape}
    if "height" not in older or "width" not in older or older.get("layout", "NHWC") != "NHWC":
        return older
    return {**others, "kind": "image", "shape": [older["height"], older["width"], older.get("channels", 3)]}


def _precisions(older: Any) -> Any:
    return {name: _precision(one) for name, one in older.items()} if isinstance(older, dict) else older


def _precision(older: Any) -> Any:
    if not isinstance(older, dict) or not isinstance(older.get("measured"), list):
        return older
    return {**older, "measured": [_measured(one) for one in older["measured"]]}


def _measured(older: Any) -> Any:
    """{"top1", "top1_agreement", …} → {"value", "interval", "agreement", …}."""
    if not isinstance(older, dict) or not {"top1", "top1_agreement"} <= older.keys():
        return older
    others = {name: value for name, value in older.items() if name not in ("top1", "top1_agreement")}
    interval = interval_from_older(older["top1"], older.get("images"))
    return {**others, "value": older["top1"], "interval": interval, "agreement": older["top1_agreement"]}

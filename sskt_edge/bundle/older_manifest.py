"""A manifest of an older schema → the same in today's."""

from __future__ import annotations

from typing import Any

from sskt_edge.tasks.tolerances import RENAMED

OLDEST = 2
UNSEALED = 2  # its manifests have no hash of their own


def today_from_older(raw: dict[str, Any]) -> dict[str, Any]:
    """The JSON of schema 2 or 3 → that of schema 4; what is wrong in it stays wrong.

    Schemas 2 and 3 know square images alone, by their height and width.
    """
    return {**raw, "schema_version": 4, "input": _input(raw.get("input")), "parity": _parity(raw.get("parity"))}


def _parity(older: Any) -> Any:
    """The limits by their names of today."""
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

"""Convert results to values that JSON can hold: one conversion for every verb and every file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from sskt_edge.common.printable import as_utf8


def as_json(value: Any) -> Any:
    r"""Convert the value to dicts, lists, strings, numbers, True, False and None.

    A dataclass becomes a dict of its fields; if it has a method `as_json`, it becomes the result of that method, whose
    parts are converted in turn. Pydantic models, arrays, tuples and paths are converted in the usual way. JSON has no
    infinity, so a number that is not finite becomes None; and it has no surrogates, so a name that is not UTF-8 is
    written with an escape for each such byte, as in every other output. Anything else becomes its str().

    >>> from pathlib import Path
    >>> as_json({"kl": math.inf, "at": Path("caf\udce9"), "more": (1, True, None)})
    {'kl': None, 'at': 'caf\\xe9', 'more': [1, True, None]}
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return as_utf8(value)
    if isinstance(value, Mapping):
        return {as_utf8(key) if isinstance(key, str) else key: as_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(part) for part in value]
    return _of_object(value)


def _of_object(value: Any) -> Any:
    if hasattr(value, "as_json"):
        return as_json(value.as_json())
    if is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "model_dump"):  # a pydantic model
        return as_json(value.model_dump(mode="json"))
    if hasattr(value, "tolist"):  # a NumPy array, or a NumPy number
        return as_json(value.tolist())
    return as_utf8(str(value))

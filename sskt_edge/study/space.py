"""The space of a sweep: recipe keys with their values, and the points of the grid."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sskt_edge.common.errors import StudyError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The values of the paper's figure 4, and the default alpha of a recipe.
DEFAULT_SPACE = ("method.temperature=1,2,3", "method.alpha=0.1,0.5,1.0,3.0")

_NOT_SWEPT = {
    "name": "a name changes nothing",
    "train.seed": "every point is trained with the same seeds: --seeds N",
    **dict.fromkeys(
        ("data.name", "data.root", "data.per_class", "data.validation", "data.test_share", "data.split_seed"),
        "every point must be trained and judged on the same images; for other images use an arm of sskt-edge compare",
    ),
}

# The index of a value for each axis.
Point = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """A key of the recipe with the TOML values to try."""

    key: str
    values: tuple[Any, ...]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The values as TOML."""
        return tuple(toml_of(value) for value in self.values)

    @cached_property
    def choices(self) -> tuple[int | float | str, ...]:
        """The values in a form that a storage can keep: numbers and strings unchanged, others as TOML."""
        kept = (int, float, str)
        return tuple(
            value if isinstance(value, kept) else text for value, text in zip(self.values, self.texts, strict=True)
        )

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers and therefore have an order."""
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values)


@dataclass(frozen=True)
class Space:
    """The axes; the last one changes fastest."""

    axes: tuple[Axis, ...]

    def points(self) -> Iterator[Point]:
        """Every point of the grid."""
        return itertools.product(*(range(len(axis.values)) for axis in self.axes))

    def __len__(self) -> int:
        return math.prod(len(axis.values) for axis in self.axes)

    def params(self, point: Point) -> dict[str, int | float | str]:
        """A point in the form that a storage keeps: key → choice."""
        return {axis.key: axis.choices[place] for axis, place in zip(self.axes, point, strict=True)}

    def point(self, params: Mapping[str, Any]) -> Point:
        """The point that a storage has kept."""
        return tuple(axis.choices.index(params[axis.key]) for axis in self.axes)

    def values(self, point: Point) -> dict[str, Any]:
        """Key → value."""
        return {axis.key: axis.values[place] for axis, place in zip(self.axes, point, strict=True)}

    def changes(self, point: Point) -> list[str]:
        """KEY=VALUE for every axis."""
        return [f"{axis.key}={axis.texts[place]}" for axis, place in zip(self.axes, point, strict=True)]

    def as_json(self) -> dict[str, list[Any]]:
        """Key → values."""
        return {axis.key: list(axis.values) for axis in self.axes}


def parse_space(texts: Sequence[str]) -> Space:
    """Parse "KEY=V1,V2,…" for every axis. Values that are not TOML are taken as strings.

    Raises:
        StudyError: one has no key or no values, a key or a value occurs twice, or a key cannot be swept.
    """
    axes = tuple(_parse_axis(text) for text in texts)
    keys = [axis.key for axis in axes]
    if not axes or len(set(keys)) != len(keys):
        raise StudyError(f"--space: expected at least one key, and each key once; got {keys}.")
    return Space(axes)


def toml_of(value: Any) -> str:
    """A TOML value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_of(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_of(part) for part in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse_axis(text: str) -> Axis:
    key, _, listed = text.partition("=")
    key = key.strip()
    if not key or not listed.strip():
        raise StudyError(f"--space '{text}': expected KEY=V1,V2,…, such as method.temperature=1,2,3.")
    if key in _NOT_SWEPT:
        raise StudyError(f"--space '{text}': {key} cannot be swept: {_NOT_SWEPT[key]}.")
    axis = Axis(key, tuple(_parse_values(listed)))
    if len(set(axis.choices)) != len(axis.choices):
        raise StudyError(f"--space '{text}': a value occurs twice.")
    return axis


def _parse_values(listed: str) -> list[Any]:
    try:
        values: list[Any] = tomllib.loads(f"values = [{listed}]")["values"]
    except tomllib.TOMLDecodeError:
        return [_parse_value(part.strip()) for part in listed.split(",")]
    return values


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

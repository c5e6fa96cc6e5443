from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
from pydantic import BaseModel

from sskt_edge.common.json import as_json


class Point(NamedTuple):
    x: int
    y: float


class Model(BaseModel):
    at: Path
    where: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    at: PurePosixPath
    scores: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Whole:
    part: Part
    hidden: int = 7

    def as_json(self) -> dict[str, Any]:
        return {"part": self.part, "extra": float("-inf")}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1, float("nan")), [1, None]),
        (Model(at=Path("a"), where=(1, 2)), {"at": "a", "where": [1, 2]}),
        (np.float32(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([np.inf, 1.0]), [None, 1.0]),
        (np.bool_(True), True),
        ({"\udcff": {1: "\ud800"}}, {"\\xff": {1: "\\ud800"}}),
        (ValueError("why"), "why"),
    ],
)
def test_a_value_becomes_what_json_can_hold(value: Any, plain: Any) -> None:
    assert as_json(value) == plain
    json.dumps(as_json(value), allow_nan=False).encode()


def test_a_method_chooses_what_is_shown_and_its_parts_are_converted_too() -> None:
    whole = Whole(Part(PurePosixPath("a/b"), np.arange(2)))
    assert as_json([whole]) == [{"part": {"at": "a/b", "scores": [0, 1]}, "extra": None}]


def test_fields_keep_their_order() -> None:
    assert list(as_json(Part(PurePosixPath("a"), np.arange(1)))) == ["at", "scores"]

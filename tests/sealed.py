"""JSON files with a hash of their own that fits, whatever a test puts into them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sskt_edge.common.seal import BLANK, KEY, sealed


def as_sealed(plain: Mapping[str, Any]) -> bytes:
    return sealed(json.dumps({**plain, KEY: BLANK}).encode())


@contextmanager
def changed(path: Path) -> Iterator[dict[str, Any]]:
    """The values in a file; what a test changes in them is written back with the hash that fits."""
    plain: dict[str, Any] = json.loads(path.read_bytes())
    yield plain
    path.write_bytes(as_sealed(plain))


def of_before(path: Path, **changes: Any) -> None:
    """Make a file what an older version wrote of the same values: no hash, and another version of its form or none."""
    plain = json.loads(path.read_bytes())
    kept = {key: value for key, value in plain.items() if key not in {KEY, "schema_version"}}
    path.write_text(json.dumps({**kept, **changes}))

"""A file's own SHA-256, kept inside the file: a change anywhere in it is noticed before its content is used.

The hash is written as `"self_sha256": "<64 hexadecimal digits>"`. It is the SHA-256 of the whole file with zeros in
place of those digits. In JSON it is on the second line, in safetensors in the header's metadata. docs/signing.md shows
how to check it with sha256sum. It finds damage; it does not prove who wrote the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

KEY = "self_sha256"
BLANK = "0" * 64
LOST = "it has lost its own SHA-256, which every file of its version carries"
_PLACE = re.compile(rb'"self_sha256": ?"([0-9a-f]{64})"')


class BrokenSealError(ValueError):
    """The content does not match its own hash, or has lost it. Users never see it: each reader says what to do."""

    def __init__(self, why: str = "it was changed after it was written: its own SHA-256 differs") -> None:
        super().__init__(why)


def sealed(content: bytes) -> bytes:
    """Fill in a file's own hash. `content` holds KEY with BLANK as its value; only the first KEY counts."""
    place = _PLACE.search(content)
    if place is None or place[1] != BLANK.encode():
        raise ValueError(f"no blank {KEY} to fill in")
    return content[: place.start(1)] + hashlib.sha256(content).hexdigest().encode() + content[place.end(1) :]


def carries_hash(content: bytes) -> bool:
    """Whether a file carries a hash of its own, whether right or wrong."""
    return _PLACE.search(content) is not None


def is_sealed(content: bytes) -> bool:
    """Whether a file carries its own hash and matches it.

    A file without a hash may have lost it through a change: the caller accepts it only if its version had none.

    Raises:
        BrokenSealError: the file carries a hash that its content does not match.
    """
    place = _PLACE.search(content)
    if place is None:
        return False
    view, digest = memoryview(content), hashlib.sha256()
    for part in (view[: place.start(1)], BLANK.encode(), view[place.end(1) :]):
        digest.update(part)
    if digest.hexdigest().encode() != place[1]:
        raise BrokenSealError
    return True


def sealed_json(plain: Mapping[str, Any]) -> bytes:
    """Plain values as a JSON file that carries its own hash.

    >>> print(sealed_json({"classes": 2}).decode(), end="")
    {
      "self_sha256": "93dbc8e0159bad91d5a122703809e70a06a4caf90a2ecc628a4a3f94613dd5a3",
      "classes": 2
    }
    """
    text = json.dumps({KEY: BLANK, **plain}, indent=2, ensure_ascii=False, allow_nan=False)
    return sealed(text.encode("utf-8", "surrogatepass") + b"\n")  # a path that is not UTF-8 becomes a surrogate


def unsealed_json(content: bytes) -> tuple[Any, bool]:
    """The values in a JSON file without its own hash, and whether it carries one.

    Raises:
        BrokenSealError: as is_sealed, before anything is parsed.
        ValueError, RecursionError: it is not JSON.
    """
    carries = is_sealed(content)
    raw = json.loads(content)
    if carries and isinstance(raw, dict):
        raw.pop(KEY, None)
    return raw, carries


def unprotected(name: str) -> str:
    """The note on a file of an older version."""
    return f"{name} was written by an older sskt-edge without a hash of its own, so a change to it cannot be detected"

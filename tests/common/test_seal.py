"""A file's own hash: what it covers, and what a stranger needs to check it."""

from __future__ import annotations

import hashlib
import inspect
import json

import pytest

from sskt_edge.common.seal import (
    BLANK,
    KEY,
    BrokenSealError,
    carries_hash,
    is_sealed,
    sealed,
    sealed_json,
    unsealed_json,
)

PLAIN = {"classes": ["Zürich", '"self_sha256": "' + "a" * 64 + '"'], "files": {"a": {"sha256": "0" * 64}}, "top1": 0.1}


def test_values_come_back_as_they_were_sealed() -> None:
    assert unsealed_json(sealed_json(PLAIN)) == (PLAIN, True)


def test_the_hash_is_that_of_the_file_with_zeros_in_its_place() -> None:
    content = sealed_json(PLAIN)
    own = json.loads(content)[KEY]
    assert content.splitlines()[1] == f'  "{KEY}": "{own}",'.encode()
    assert own == hashlib.sha256(content.replace(own.encode(), BLANK.encode(), 1)).hexdigest()


def test_the_example_in_the_docstring_is_right() -> None:
    shown = inspect.getdoc(sealed_json) or ""
    assert sealed_json({"classes": 2}).decode() in f"{shown}\n"


@pytest.mark.parametrize("text", ['{"classes": 2}', "[]", "null", '{"self_sha256": "short"}'])
def test_a_file_without_a_hash_is_given_and_said_to_be_without(text: str) -> None:
    assert unsealed_json(text.encode()) == (json.loads(text), False)
    assert not carries_hash(text.encode())


def test_what_differs_from_its_hash_is_not_parsed() -> None:
    content = sealed_json(PLAIN)
    for spoilt in (content + b" ", content[:-1], content.replace(b"0.1", b"0.2"), content.replace(b"{", b"[")):
        with pytest.raises(BrokenSealError, match="SHA-256 differs"):
            unsealed_json(spoilt)
        assert carries_hash(spoilt)


def test_a_path_that_is_not_unicode_can_be_sealed() -> None:
    assert unsealed_json(sealed_json({"path": "\udcff"})) == ({"path": "\udcff"}, True)


def test_only_a_blank_is_filled_in() -> None:
    with pytest.raises(ValueError, match="no blank"):
        sealed(sealed_json(PLAIN))
    with pytest.raises(ValueError, match="no blank"):
        sealed(b"{}")
    assert is_sealed(sealed(b'{"self_sha256":"' + BLANK.encode() + b'"}'))

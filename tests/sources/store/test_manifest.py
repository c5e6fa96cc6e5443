from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.common.seal import KEY
from sskt_edge.sources.store.label_format import LabelFormat
from sskt_edge.sources.store.manifest import FILE_NAME, CollectionManifest, Shard, key_of, read_manifest, write_manifest
from tests.sealed import changed

SHARD = Shard("0a.safetensors", "ab" * 32, 3, 100, "1")
MANIFEST = CollectionManifest({"model": "a", "deep": {"mean": [0.5]}}, LabelFormat(10, 3)).with_shard(
    SHARD, {"threads": 2}
)


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "no folder") is None


def test_the_key_does_not_depend_on_the_order_of_facts() -> None:
    assert key_of({"a": 1, "b": {"c": 2, "d": 3}}, LabelFormat(5)) == key_of(
        {"b": {"d": 3, "c": 2}, "a": 1}, LabelFormat(5)
    )


def test_the_key_of_stores_on_disks_stays() -> None:
    assert key_of({"model": "a/b", "mean": [0.5, 0.25]}, LabelFormat(10, 3)).startswith(
        "9944a5c5c7542f6201f2101c7c42151b"
    )


def spoil(change: Callable[[dict[str, Any]], object], folder: Path) -> None:
    write_manifest(folder, MANIFEST)
    with changed(folder / FILE_NAME) as raw:
        change(raw)


def test_a_manifest_of_before_its_own_hash_is_read_and_written_with_one(tmp_path: Path) -> None:
    spoil(lambda raw: raw.update(format=1), tmp_path)
    raw = json.loads((tmp_path / FILE_NAME).read_bytes())
    del raw[KEY]
    (tmp_path / FILE_NAME).write_text(json.dumps(raw))
    older = read_manifest(tmp_path)
    assert older == MANIFEST
    (tmp_path / FILE_NAME).write_text(json.dumps({**raw, "format": 2}))
    with pytest.raises(DataError, match="lost its own SHA-256"):
        read_manifest(tmp_path)


def with_key(raw: dict[str, Any], **others: dict[str, Any]) -> None:
    """Other facts or another form, and the key that goes with them: as somebody's own program could write them."""
    raw.update(others)
    raw["key"] = key_of(raw["facts"], LabelFormat(**raw["form"]))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["facts"].update(model="b"),
        lambda raw: raw["facts"]["deep"]["mean"].append(0.5),
        lambda raw: raw["form"].update(top_k=4),
        lambda raw: raw.update(key="00" * 32),
        lambda raw: raw["form"].update(kept="half"),
        lambda raw: raw.pop("shards"),
        lambda raw: raw["shards"][0].pop("sha256"),
        lambda raw: raw["shards"][0].update(rows="3"),
        lambda raw: raw["shards"][0].update(name="../0a.safetensors"),
        lambda raw: raw.update(facts=[1]),
        lambda raw: raw["shards"][0].update(rows=-1),
        lambda raw: raw["shards"][0].update(rows=True),
        lambda raw: raw["shards"][0].update(bytes=0),
        lambda raw: raw.update(fills=[]),
        lambda raw: raw["fills"].update({"1": "two threads"}),
        lambda raw: with_key(raw, facts={"deep": {}}),
        lambda raw: with_key(raw, facts={"model": 3}),
        lambda raw: with_key(raw, form={"classes": "x", "top_k": 0}),
        lambda raw: with_key(raw, form={"classes": 10, "top_k": -3}),
        lambda raw: with_key(raw, form={"classes": 10, "top_k": 10}),
    ],
)
def test_a_broken_manifest_is_refused_with_its_folder(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    spoil(change, tmp_path)
    with pytest.raises(DataError, match=r"manifest.json' is broken: .*delete the folder") as caught:
        read_manifest(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(DataError, match="is broken"):
        read_manifest(tmp_path)


def test_a_newer_format_asks_for_a_newer_program(tmp_path: Path) -> None:
    spoil(lambda raw: (raw.update(format=3), raw.pop("shards")), tmp_path)
    with pytest.raises(DataError, match=r"newer sskt-edge. Upgrade it"):
        read_manifest(tmp_path)


def test_a_manifest_of_something_else_is_not_called_broken(tmp_path: Path) -> None:
    """A bundle's, say, whose folder nobody should be told to delete."""
    (tmp_path / FILE_NAME).write_text('{"schema_version": 1, "name": "a bundle"}')
    with pytest.raises(DataError, match=r"is not a folder of labels, by its manifest\.json\. Move it out of the store"):
        read_manifest(tmp_path)

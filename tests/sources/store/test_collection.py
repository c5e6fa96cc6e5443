from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import Notes
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.manifest import FILE_NAME
from sskt_edge.sources.store.store import LabelStore
from tests.sealed import of_before
from tests.sources.store.small import CLASSES, FACTS, add, collection_in, holds, keys_of, logits_of


def test_nothing_is_on_the_disk_before_it_is_held(tmp_path: Path) -> None:
    collection = collection_in(tmp_path / "store")
    assert collection.missing(keys_of([1, 2])).all() and collection.open(keys_of([1])) is None
    assert (collection.rows, collection.bytes, collection.fills, collection.used) == (0, 0, [], 0.0)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("top_k", [0, 3])
def test_the_order_of_reading_does_not_matter(top_k: int, tmp_path: Path) -> None:
    collection = collection_in(tmp_path, top_k)
    add(collection, range(25))
    order = np.random.default_rng(0).permutation(25)
    whole, mixed = collection.open(keys_of(range(25))), collection.open(keys_of(order))
    assert whole and mixed and len(whole) == 25 and len(collection.shards) == 3
    logits = whole.read(np.arange(25))
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(np.sort(logits, axis=1)[:, -3:], logits_of(range(25))[:, -3:])
    np.testing.assert_array_equal(mixed.read(np.arange(25)), logits[order])
    np.testing.assert_array_equal(np.concatenate([whole.read(order[:9]), whole.read(order[9:])]), logits[order])
    np.testing.assert_array_equal(whole.read(np.array([4, 4])), logits[[4, 4]])
    assert whole.read(np.array([], dtype=np.intp)).shape == (0, CLASSES)


def test_the_same_view_twice_is_one_label(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, [1, 2])
    assert holds(collection, [2, 1, 2, 2])


def test_older_labels_without_a_hash_are_kept_and_protected_by_the_next(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, [1])
    of_before(collection.path / FILE_NAME, format=1)
    assert holds(collection_in(tmp_path), [1]) and not collection.is_protected
    add(collection, [2])
    assert holds(collection_in(tmp_path), [1, 2]) and collection.is_protected


def test_a_new_image_costs_one_image(tmp_path: Path) -> None:
    add(collection_in(tmp_path), range(25))
    collection = collection_in(tmp_path)
    assert np.flatnonzero(collection.missing(keys_of([3, 25, 7]))).tolist() == [1]
    assert collection.open(keys_of([3, 25, 7])) is None
    add(collection, [25])
    assert holds(collection, [3, 25, 7])


def test_what_another_process_added_is_seen(tmp_path: Path) -> None:
    first, second = collection_in(tmp_path), collection_in(tmp_path)
    add(first, [1])
    assert not second.missing(keys_of([1])).any()
    add(second, [2])
    assert holds(first, [1, 2])


def test_a_reader_is_right_while_a_filler_appends(tmp_path: Path) -> None:
    filler = threading.Thread(target=add, args=(collection_in(tmp_path), range(200)))
    reader = collection_in(tmp_path)
    seen: list[int] = []
    filler.start()
    while not seen or seen[-1] < 200:
        rows = np.flatnonzero(~reader.missing(keys_of(range(200))))
        assert holds(reader, rows)
        seen.append(len(rows))
    filler.join()
    assert seen == sorted(seen) and len(set(seen)) > 2


def test_only_the_holder_writes_and_it_holds_once(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with pytest.raises(RuntimeError, match="hold the collection"):
        collection.writer({})
    with collection.held(), pytest.raises(RuntimeError, match="held already"), collection.held():
        pass


def test_what_a_killed_filler_left_is_removed_by_the_next(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(5))
    (collection.path / "00ff.safetensors").write_bytes(b"a shard that no manifest names")
    (collection.path / ".manifest.json.x.tmp").write_bytes(b"{")
    (collection.path / "notes.txt").write_bytes(b"the user's own")
    with collection.held():
        pass
    kept = {collection.shards[0].name, FILE_NAME, "notes.txt"}
    assert {path.name for path in collection.path.iterdir()} == kept and holds(collection, range(5))


def damage(collection: Collection, how: str) -> str:
    """Spoil the middle one of three shards; its name."""
    path = collection.path / collection.shards[1].name
    if how == "gone":
        path.unlink()
    elif how == "cut":
        os.truncate(path, 100)
    else:
        content = bytearray(path.read_bytes())
        content[{"header": 10, "label": 200, "key": -1}[how]] ^= 4
        path.write_bytes(content)
    return path.name


DAMAGE = ["gone", "cut", "header", "label", "key"]


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_found_before_a_label_is_used_and_asked_again(how: str, tmp_path: Path) -> None:
    add(collection_in(tmp_path), range(30))
    name = damage(collection_in(tmp_path), how)
    collection, heard = collection_in(tmp_path), Notes()
    assert collection.open(keys_of(range(30)), heard) is None
    missing = np.flatnonzero(collection_in(tmp_path).missing(keys_of(range(30))))
    assert missing.tolist() == list(range(10, 20))
    add(collection, missing)
    assert holds(collection, range(30)) and holds(collection_in(tmp_path), range(30))
    assert len(heard.lines) == 1 and name in heard.lines[0] and "Its 10 labels are computed again" in heard.lines[0]
    assert not (collection.path / name).exists()


def test_labels_beside_the_damage_stay_in_use(tmp_path: Path) -> None:
    add(collection_in(tmp_path), range(30))
    damage(collection_in(tmp_path), "label")
    assert holds(collection_in(tmp_path), [*range(10), *range(20, 30)])


@pytest.mark.parametrize("how", DAMAGE)
def test_verify_finds_what_is_damaged_and_takes_it_out(how: str, tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(30))
    assert collection.verify() == []
    name = damage(collection, how)
    found = collection.verify()
    assert [(one.path.name, one.rows) for one in found] == [(name, 10)] and found[0].why
    assert collection_in(tmp_path).missing(keys_of(range(30))).sum() == 10
    assert collection.verify() == []


def test_what_seemed_damaged_is_looked_at_again_before_it_is_given_up(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(30))
    path = collection.path / collection.shards[1].name
    path.rename(tmp_path / "away")
    assert collection.missing(keys_of(range(30))).sum() == 10
    (tmp_path / "away").rename(path)
    with collection.held():
        assert not collection.missing(keys_of(range(30))).any()
    assert holds(collection, range(30))


def test_labels_without_their_manifest_are_not_thrown_away(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(5))
    (collection.path / FILE_NAME).unlink()
    with pytest.raises(DataError, match=r"has labels but no manifest.json. Put it back"), collection.held():
        pass
    assert len(list(collection.path.glob("*.safetensors"))) == 1


def test_the_manifest_of_another_collection_is_refused(tmp_path: Path) -> None:
    one, other = collection_in(tmp_path), LabelStore(tmp_path).collection({**FACTS, "engine": "other"}, CLASSES)
    add(one, [1])
    other.path.mkdir()
    (one.path / FILE_NAME).rename(other.path / FILE_NAME)
    with pytest.raises(DataError, match="belongs to another collection"):
        other.missing(keys_of([1]))


def test_pruned_labels_are_gone_and_can_be_filled_again(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(25))
    collection.prune()
    assert not collection.path.exists() and collection.missing(keys_of(range(25))).all()
    add(collection, range(25))
    assert holds(collection, range(25))


def test_what_a_listing_shows(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(25))
    add(collection, [25])
    assert (collection.rows, len(collection.shards)) == (26, 4)
    assert collection.bytes == sum(path.stat().st_size for path in collection.path.glob("*.safetensors"))
    assert collection.fills == [{"by": "a test"}, {"by": "a test"}]
    assert collection.row_bytes == 16 + 2 * CLASSES and collection_in(tmp_path, 3).row_bytes == 16 + 3 * 4 + 4
    os.utime(collection.path / FILE_NAME, (1.0, 1.0))
    assert collection.used == 1.0 and collection.created == collection_in(tmp_path).created
    assert holds(collection, [3]) and collection.used > 1.0


def test_a_read_only_store_is_read(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    add(collection, range(5))
    collection.path.chmod(0o555)
    try:
        assert holds(collection_in(tmp_path), range(5))
    finally:
        collection.path.chmod(0o755)

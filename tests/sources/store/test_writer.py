from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sskt_edge.common.errors import Interrupted, NetworkError
from sskt_edge.sources.store.writer import Writer
from tests.sources.store.small import CLASSES, collection_in, holds, keys_of, logits_of


def add(writer: Writer, *rows: int) -> None:
    writer.add(keys_of(rows), logits_of(rows))


def test_a_shard_is_written_when_it_has_its_rows(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with collection.held(), collection.writer({}, rows=4) as writer:
        sizes = []
        for row in range(0, 10, 2):
            add(writer, row, row + 1)
            sizes.append([shard.rows for shard in collection.shards])
    assert sizes == [[], [4], [4], [4, 4], [4, 4]]
    assert [shard.rows for shard in collection.shards] == [4, 4, 2]


def test_a_shard_is_written_when_its_first_row_is_old(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with collection.held(), collection.writer({}, seconds=0.0) as writer:
        add(writer, 1)
        assert collection.rows == 1
    with collection.held(), collection.writer({}, seconds=1e9) as writer:
        add(writer, 2)
        assert collection.rows == 1


@pytest.mark.parametrize("error", [Interrupted("stopped", 2), KeyboardInterrupt(), ValueError("a fault")])
def test_what_was_added_before_an_exception_is_kept(error: BaseException, tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with pytest.raises(type(error)), collection.held(), collection.writer({}) as writer:
        add(writer, 1, 2, 3)
        raise error
    assert holds(collection, [1, 2, 3])


def test_a_batch_that_cannot_be_kept_costs_none_of_the_others(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with pytest.raises(NetworkError), collection.held(), collection.writer({}) as writer:
        add(writer, 1, 2, 3)
        writer.add(keys_of([4]), np.full((1, CLASSES), np.nan, np.float32))
    assert holds(collection, [1, 2, 3]) and collection.missing(keys_of([4])).all()


def test_keys_and_logits_must_be_as_many(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with pytest.raises(ValueError, match="1 keys with 2 rows"), collection.held(), collection.writer({}) as writer:
        writer.add(keys_of([1]), logits_of([1, 2]))


def test_what_the_caller_does_with_its_arrays_later_changes_nothing(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    keys, logits = keys_of([1, 2]).copy(), logits_of([1, 2])
    with collection.held(), collection.writer({}) as writer:
        writer.add(keys, logits)
        keys[:], logits[:] = b"", 0.0
    assert holds(collection, [1, 2])


def test_nothing_added_writes_no_shard(tmp_path: Path) -> None:
    collection = collection_in(tmp_path)
    with collection.held(), collection.writer({}) as writer:
        add(writer)
    assert collection.shards == () and collection.fills == []

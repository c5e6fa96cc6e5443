from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from sskt_edge.common.errors import StorageError
from sskt_edge.sources.store.label_format import LabelFormat
from sskt_edge.sources.store.manifest import Shard
from sskt_edge.sources.store.shards import DamagedShardError, check_shard, map_shard, read_keys, write_shard
from tests.sources.store.small import CLASSES, keys_of, logits_of


def written(folder: Path, label_format: LabelFormat) -> Shard:
    return write_shard(folder, keys_of(range(9)), label_format.pack(logits_of(range(9))), "1")


@pytest.mark.parametrize("label_format", [LabelFormat(CLASSES), LabelFormat(CLASSES, 3)])
def test_a_shard_comes_back_as_it_was_written(label_format: LabelFormat, tmp_path: Path) -> None:
    shard, packed = written(tmp_path, label_format), label_format.pack(logits_of(range(9)))
    check_shard(tmp_path, shard)
    mapped = map_shard(tmp_path, shard, label_format)
    assert set(mapped) == {"keys", *packed}
    for name, array in packed.items():
        np.testing.assert_array_equal(mapped[name], array)
    assert (read_keys(tmp_path, shard, label_format) == keys_of(range(9))).all()
    assert shard.rows == 9 and shard.bytes == (tmp_path / shard.name).stat().st_size


def test_a_shard_is_a_plain_safetensors_file(tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    arrays = safetensors.numpy.load_file(tmp_path / shard.name)
    np.testing.assert_array_equal(arrays["logits"], logits_of(range(9)))


def test_two_shards_have_two_names(tmp_path: Path) -> None:
    assert len({written(tmp_path, LabelFormat(CLASSES)).name for _ in range(20)}) == 20


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    path = tmp_path / shard.name
    whole = path.read_bytes()
    for place in [*range(0, len(whole), 7), len(whole) - 1]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedShardError, match="its content changed"):
            check_shard(tmp_path, shard)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_a_cut_shard_is_found(size: int, tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    os.truncate(tmp_path / shard.name, size % shard.bytes)
    for look in (check_shard, lambda folder, shard: map_shard(folder, shard, LabelFormat(CLASSES))):
        with pytest.raises(DamagedShardError, match=f"it has {size % shard.bytes} of {shard.bytes} bytes"):
            look(tmp_path, shard)


def test_a_missing_shard_is_found(tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    (tmp_path / shard.name).unlink()
    for look in (check_shard, lambda folder, shard: map_shard(folder, shard, LabelFormat(CLASSES))):
        with pytest.raises(DamagedShardError, match="it is gone"):
            look(tmp_path, shard)


def test_a_header_with_any_flipped_bit_maps_as_before_or_is_found(tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    path = tmp_path / shard.name
    whole = path.read_bytes()
    length = 8 + int.from_bytes(whole[:8], "little")
    found = 0
    for bit in range(0, 8 * length, 11):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            arrays = map_shard(tmp_path, shard, LabelFormat(CLASSES))
            assert arrays["logits"].shape == (9, CLASSES) and arrays["keys"].shape == (9, 16)
        except DamagedShardError:
            found += 1
    assert found > 4 * length / 11


def test_a_shard_of_another_form_is_found(tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    for label_format in (LabelFormat(CLASSES, 3), LabelFormat(CLASSES - 1)):
        with pytest.raises(DamagedShardError, match="its header is broken"):
            map_shard(tmp_path, shard, label_format)


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_a_disk_that_does_not_give_a_shard_is_no_damage(tmp_path: Path) -> None:
    shard = written(tmp_path, LabelFormat(CLASSES))
    path = tmp_path / shard.name
    path.unlink()
    path.symlink_to(path)  # the system refuses to follow it
    with pytest.raises(StorageError, match=r"Could not read .*Check its permissions"):
        check_shard(tmp_path, shard)

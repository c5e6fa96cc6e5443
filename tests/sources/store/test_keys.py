from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from sskt_edge.sources.store.keys import KeyIndex, view_keys
from tests.sources.store.small import keys_of


def test_a_key_is_the_hash_of_content_and_view() -> None:
    image, view = bytes(range(32)), (-4, 3, 96, 96, 1)
    keys = view_keys(np.frombuffer(image * 2, np.uint8).reshape(2, 32), np.array([view, (0,) * 5], np.int32))
    assert keys.dtype == "S16" and keys.shape == (2,)
    assert keys[0] == hashlib.blake2b(image + struct.pack("<5i", *view), digest_size=16).digest()


def test_every_byte_of_the_hash_and_every_integer_of_the_view_decide() -> None:
    hashes, views = np.zeros((38, 32), np.uint8), np.zeros((38, 5), np.int32)
    hashes[np.arange(32), np.arange(32)] = 1
    views[np.arange(32, 37), np.arange(5)] = -1
    assert len(set(view_keys(hashes, views).tolist())) == 38


def test_no_images_have_no_keys() -> None:
    assert view_keys(np.empty((0, 32), np.uint8), np.empty((0, 5), np.int32)).shape == (0,)


def test_the_index_finds_every_key_where_it_stands() -> None:
    shards = [keys_of(range(5)), keys_of([]), keys_of(range(5, 300))]
    numbers, rows = KeyIndex(shards).find(keys_of([299, 0, 1000, 5, 4, 0]))
    assert numbers.tolist() == [2, 0, -1, 2, 0, 0]
    assert rows.tolist() == [294, 0, -1, 0, 4, 0]


def test_of_a_key_that_stands_twice_the_first_counts() -> None:
    numbers, rows = KeyIndex([keys_of(range(99)), keys_of(range(99)[::-1])]).find(keys_of(range(99)))
    assert not numbers.any() and rows.tolist() == list(range(99))


@pytest.mark.parametrize("shards", [[], [keys_of([])]])
def test_an_empty_index_finds_nothing(shards: list[np.ndarray]) -> None:
    numbers, rows = KeyIndex(shards).find(keys_of([1, 2]))
    assert numbers.tolist() == rows.tolist() == [-1, -1]


def test_zeros_at_the_end_of_a_key_count() -> None:
    raw = np.zeros((4, 16), np.uint8)
    raw[np.arange(3), [0, 14, 15]] = 1
    keys = raw.view("S16")[:, 0]
    numbers, rows = KeyIndex([keys[:3]]).find(keys)
    assert (numbers.tolist(), rows.tolist()) == ([0, 0, 0, -1], [0, 1, 2, -1])

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from sskt_edge.images import read_ahead
from sskt_edge.images.decode import size_of
from sskt_edge.images.read_ahead import read_in_order

LARGE = {f"{number:02}.png" for number in range(0, 40, 3)}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """40 files, each third of them large."""
    monkeypatch.setattr(read_ahead, "LARGE", 50)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    paths = [tmp_path / f"{number:02}.png" for number in range(40)]
    for path in paths:
        Image.new("L", (10, 9 if path.name in LARGE else 2)).save(path)
    return paths


def test_large_images_are_read_one_at_a_time_by_one_thread(files: list[Path]) -> None:
    lock, large_now, most_large, threads = threading.Lock(), 0, 0, set()

    def read(path: Path) -> str:
        nonlocal large_now, most_large
        if path.name in LARGE:
            with lock:
                large_now += 1
                most_large = max(most_large, large_now)
                threads.add(threading.get_ident())
            time.sleep(0.002)
            with lock:
                large_now -= 1
        return path.name

    assert list(read_in_order(files, read)) == [path.name for path in files]
    assert most_large == 1
    assert len(threads) == 1


def test_small_images_do_not_wait_for_a_large_one(files: list[Path]) -> None:
    small_done = threading.Event()

    def read(path: Path) -> bool:
        if path.name == "00.png":
            return small_done.wait(timeout=10)
        if path.name == "02.png":
            small_done.set()
        return True

    assert all(read_in_order(files, read))


def test_a_file_that_is_no_image_is_given_to_read_as_well(files: list[Path]) -> None:
    files[1].write_bytes(b"nothing")

    assert [size_of(files[1])] == [(0, 0)]
    assert len(list(read_in_order(files, size_of))) == 40


def test_an_error_of_read_reaches_the_caller(files: list[Path]) -> None:
    def read(path: Path) -> None:
        if path.name in LARGE:
            raise ValueError(path.name)

    with pytest.raises(ValueError, match="00"):
        list(read_in_order(files, read))

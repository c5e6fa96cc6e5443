from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.common.json import as_json
from sskt_edge.data.survey import survey
from tests.data.small import write_classes


def test_a_single_folder_is_counted_by_class(tmp_path: Path) -> None:
    seen = survey(write_classes(tmp_path / "own", {"cat": 3, "dog": 2}))

    assert seen.train == {"cat": 3, "dog": 2}
    assert seen.test is None
    assert seen.unreadable == ()
    assert seen.short_sides == (12, 12, 12)


def test_train_and_test_are_counted_apart(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"cat": 3, "dog": 2})
    write_classes(tmp_path / "test", {"cat": 1, "dog": 4}, first=50)

    seen = survey(tmp_path)

    assert (seen.train, seen.test) == ({"cat": 3, "dog": 2}, {"cat": 1, "dog": 4})


def test_short_sides_are_smallest_median_and_largest(tmp_path: Path) -> None:
    for number, (width, height) in enumerate([(30, 90), (50, 20), (70, 70), (40, 41), (44, 44)]):
        folder = tmp_path / ("cat" if number < 3 else "dog")
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8)).save(folder / f"{number}.png")

    assert survey(tmp_path).short_sides == (20, 40, 70)


def test_unreadable_images_are_counted_and_told(tmp_path: Path) -> None:
    write_classes(tmp_path, {"cat": 3, "dog": 2})
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"\xff\xd8nothing")

    seen = survey(tmp_path)

    assert seen.train == {"cat": 4, "dog": 2}
    assert len(seen.unreadable) == 1 and "broken.jpg" in seen.unreadable[0]


def test_the_fewest_are_counted_without_copies_and_unreadable_images(tmp_path: Path) -> None:
    """A probe of a class needs two images that it can tell apart."""
    write_classes(tmp_path, {"cat": 3, "dog": 2})
    for number in range(2):
        (tmp_path / "cat" / f"broken {number}.jpg").write_bytes(b"\xff\xd8nothing")
        shutil.copy(tmp_path / "dog" / "001.png", tmp_path / "dog" / f"copy {number}.png")

    seen = survey(tmp_path)

    assert (seen.train, seen.fewest) == ({"cat": 5, "dog": 4}, 2)


def test_a_class_without_a_readable_image_is_an_error(tmp_path: Path) -> None:
    write_classes(tmp_path, {"dog": 2})
    (tmp_path / "cat").mkdir()
    for number in range(2):
        (tmp_path / "cat" / f"{number}.jpg").write_bytes(b"nothing")

    with pytest.raises(DataError, match=r"No image of class 'cat' in .* can be read"):
        survey(tmp_path)


def test_what_was_seen_goes_into_json(tmp_path: Path) -> None:
    seen = survey(write_classes(tmp_path / "own", {"cat": 3, "dog": 2}))

    assert json.loads(json.dumps(as_json(seen)))["train"] == {"cat": 3, "dog": 2}


def test_copies_in_both_parts_and_in_two_classes_are_told(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"cat": 3, "dog": 2})
    write_classes(tmp_path / "test", {"cat": 1, "dog": 1}, first=50)
    shutil.copy(tmp_path / "train" / "cat" / "000.png", tmp_path / "test" / "dog" / "cat.png")
    for part in ("train", "test"):
        (tmp_path / part / "cat" / "broken.png").write_bytes(b"nothing")

    copies = survey(tmp_path).copies

    assert [(pairs.part, pairs.of, pairs.count) for pairs in copies.shared] == [("test", "training", 1)]
    assert copies.two_classes.examples == (("test/dog/cat.png", "train/cat/000.png"),)

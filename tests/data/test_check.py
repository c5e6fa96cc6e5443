from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from sskt_edge.common.json import as_json
from sskt_edge.common.progress import QUIET
from sskt_edge.data.check import check_data
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.data.small import folder_data, write_classes


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_classes(tmp_path / "train", {"cat": 6, "dog": 4})
    write_classes(tmp_path / "test", {"cat": 2, "dog": 3}, first=100)
    return tmp_path


def test_images_are_counted_by_part_and_class(split: Path) -> None:
    found = check_data(folder_data(split, validation=0.25), SINGLE_LABEL, 0, QUIET)

    assert found.counts == {
        "training": {"cat": 4, "dog": 3},
        "validation": {"cat": 2, "dog": 1},
        "test": {"cat": 2, "dog": 3},
    }
    assert found.passed
    assert (found.near_copies, found.below_budget) == (None, "")


def test_a_test_image_among_the_training_images_does_not_pass(split: Path) -> None:
    shutil.copy(split / "train" / "cat" / "001.png", split / "test" / "cat" / "again.png")

    found = check_data(folder_data(split), SINGLE_LABEL, 0, QUIET)

    assert not found.passed
    assert found.copies.shared[0].examples == (("test/cat/again.png", "train/cat/001.png"),)


def test_one_content_in_two_classes_fails_and_a_repeated_image_passes(split: Path) -> None:
    shutil.copy(split / "train" / "cat" / "001.png", split / "train" / "cat" / "again.png")
    assert check_data(folder_data(split), SINGLE_LABEL, 0, QUIET).passed

    shutil.copy(split / "train" / "cat" / "001.png", split / "train" / "dog" / "again.png")
    assert not check_data(folder_data(split), SINGLE_LABEL, 0, QUIET).passed


def test_near_copies_are_listed_and_pass(split: Path) -> None:
    Image.open(split / "train" / "dog" / "002.png").save(split / "test" / "dog" / "other.bmp")

    found = check_data(folder_data(split), SINGLE_LABEL, 10, QUIET)

    assert found.near_copies is not None
    assert found.near_copies.shared[0].examples == (("test/dog/other.bmp", "train/dog/002.png"),)
    assert found.passed
    assert json.loads(json.dumps(as_json(found)))["near_copies"]["shared"][0]["count"] == 1


def test_unreadable_images_are_told_and_pass_where_they_are_skipped(split: Path) -> None:
    for part in ("train", "test"):
        (split / part / "cat" / "broken.png").write_bytes(b"not a picture")

    stops, skips = (check_data(folder_data(split, skip_bad=skip), SINGLE_LABEL, 0, QUIET) for skip in (False, True))

    assert len(stops.unreadable) == len(skips.unreadable) == 2
    assert (stops.passed, skips.passed) == (False, True)
    assert stops.copies.shared == ()  # of what cannot be read nothing is said


def test_a_budget_above_what_the_classes_have_is_told(split: Path) -> None:
    assert "2 of 2 classes" in check_data(folder_data(split, per_class=1000), SINGLE_LABEL, 0, QUIET).below_budget


def test_a_missing_library_is_met_before_the_images_are_read(split: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    (split / "train" / "cat" / "broken.png").write_bytes(b"not a picture")

    with pytest.raises(ModuleNotFoundError, match="imagehash"):
        check_data(folder_data(split), SINGLE_LABEL, 10, QUIET)
    assert len(check_data(folder_data(split), SINGLE_LABEL, 0, QUIET).unreadable) == 1

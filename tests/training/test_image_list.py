from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sskt_edge.data.images import ImageSet
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.training.image_list import changed_images, write_image_list

CLASSES = ("cat", "dog")


def images(**contents: int) -> ImageSet:
    """Images by name, of one pixel's value each; those whose name begins with c are cats."""
    names = tuple(f"{name}.png" for name in contents)
    labels = np.array([0 if name.startswith("c") else 1 for name in names], dtype=np.int64)
    hashes = np.stack([np.full(32, value, dtype=np.uint8) for value in contents.values()])
    return ImageSet({}, labels, hashes, names)


def test_the_files_that_changed_are_named(tmp_path: Path) -> None:
    path = tmp_path / "images.tsv"
    write_image_list(path, {"training": images(c1=1, c2=2, d1=3), "validation": images(d2=4)}, SINGLE_LABEL, CLASSES)

    now = {"training": images(c1=1, c2=9, d3=5), "validation": images(d2=4)}
    assert (
        changed_images(path, now, SINGLE_LABEL, CLASSES) == "1 changed (c2.png), 1 removed (d1.png), 1 added (d3.png)"
    )
    same = {"training": images(c1=1, c2=2, d1=3), "validation": images(d2=4)}
    assert changed_images(path, same, SINGLE_LABEL, CLASSES) == ""


def test_parts_that_are_not_asked_about_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "images.tsv"
    write_image_list(path, {"training": images(c1=1), "unlabelled": images(d1=3)}, SINGLE_LABEL, CLASSES)
    assert changed_images(path, {"training": images(c1=1)}, SINGLE_LABEL, CLASSES) == ""
    assert changed_images(path, {"unlabelled": images(d1=4)}, SINGLE_LABEL, CLASSES) == "1 changed (d1.png)"


def test_many_files_are_counted_and_three_named(tmp_path: Path) -> None:
    path = tmp_path / "images.tsv"
    write_image_list(path, {"training": images(c1=1)}, SINGLE_LABEL, CLASSES)
    now = {"training": images(**{f"d{number}": number for number in range(5)}, c1=1)}
    assert changed_images(path, now, SINGLE_LABEL, CLASSES) == "5 added (d0.png, d1.png, d2.png and 2 more)"


@pytest.mark.parametrize("text", [None, "training\tc1.png\n", "a\tb\tc\td\te\n"])
def test_a_list_that_cannot_be_read_says_nothing(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "images.tsv"
    if text is not None:
        path.write_text(text)
    assert changed_images(path, {"training": images(c1=1)}, SINGLE_LABEL, CLASSES) == ""


def test_a_name_with_a_tab_stays_one_name(tmp_path: Path) -> None:
    path = tmp_path / "images.tsv"
    odd = images(c1=1)
    odd = ImageSet({}, odd.labels, odd.hashes, ("c\t1\n.png",))
    write_image_list(path, {"training": odd}, SINGLE_LABEL, CLASSES)
    assert changed_images(path, {"training": odd}, SINGLE_LABEL, CLASSES) == ""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.images.decode import read_square
from sskt_edge.images.listing import Expected, list_classes, list_images, load
from tests.bundle.tiny import SIDE


def test_classes_and_files_are_sorted_by_name(images_path: Path) -> None:
    listing = list_classes(images_path)
    assert listing.classes == ("blue", "green", "red")
    assert [path.relative_to(images_path).as_posix() for path in listing.paths[:5]] == [
        "blue/0.png",
        "blue/1.png",
        "blue/2.png",
        "blue/3.png",
        "green/0.png",
    ]
    assert listing.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert listing.labels.dtype == np.int64


def test_hidden_and_other_files_are_left_out(images_path: Path) -> None:
    for folder in (".cache", "red/.thumbnails"):
        (images_path / folder).mkdir()
        (images_path / folder / "small.png").write_bytes(b"")
    (images_path / "red" / ".hidden.png").write_bytes(b"")
    (images_path / "red" / "notes.txt").write_text("")
    (images_path / "README.md").write_text("")
    listing = list_classes(images_path)
    assert listing.classes == ("blue", "green", "red") and len(listing.paths) == 12


def test_endings_in_capitals_and_deeper_folders_count(images_path: Path) -> None:
    (images_path / "red" / "deep").mkdir()
    (images_path / "red" / "deep" / "PHOTO.JPG").write_bytes(b"")
    assert len(list_classes(images_path).paths) == 13


def test_a_missing_folder_offers_its_nearest_sibling(images_path: Path) -> None:
    with pytest.raises(DataError, match=r"No folder of images at .*Nearest: 'images'\. "):
        list_classes(images_path.parent / "image")


def test_a_folder_without_sub_folders_explains_the_layout(images_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no sub-folders\..*<class>.image\.jpg"):
        list_classes(images_path / "red")


def test_empty_classes_are_named(images_path: Path) -> None:
    (images_path / "yellow").mkdir()
    (images_path / "black").mkdir()
    with pytest.raises(DataError, match="no images for class 'black', 'yellow'"):
        list_classes(images_path)


def test_load_keeps_order_and_reads_each_side(images_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (10, 30, 3), dtype=np.uint8)
    Image.fromarray(wide).save(images_path / "red" / "0.png")
    listing = list_classes(images_path)
    loaded = load(listing, [SIDE, 5])
    assert loaded.paths == listing.paths and loaded.labels.tolist() == listing.labels.tolist()
    for side in (SIDE, 5):
        expected = np.stack([read_square(path, side) for path in listing.paths])
        assert np.array_equal(loaded.resized[side], expected)
    assert loaded.hashes == [hashlib.sha256(path.read_bytes()).digest() for path in listing.paths]
    assert loaded.skipped == []


def test_the_first_bad_image_stops_and_names_the_key(images_path: Path) -> None:
    (images_path / "blue" / "3.png").write_bytes(b"no image")
    (images_path / "green" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"blue/3\.png'.*data\.skip_bad = true"):
        load(list_classes(images_path), [SIDE])


def test_skip_bad_leaves_out_only_the_bad_images(images_path: Path) -> None:
    (images_path / "blue" / "3.png").write_bytes(b"no image")
    (images_path / "green" / "0.png").write_bytes(b"")
    listing = list_classes(images_path)
    loaded = load(listing, [SIDE], skip_bad=True)
    good = [path for number, path in enumerate(listing.paths) if number not in (3, 4)]
    assert loaded.paths == good
    assert np.array_equal(loaded.resized[SIDE], np.stack([read_square(path, SIDE) for path in good]))
    assert loaded.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 4
    assert ["3.png" in loaded.skipped[0], "0.png" in loaded.skipped[1]] == [True, True]


def test_a_class_that_loses_all_its_images_is_an_error(images_path: Path) -> None:
    for path in (images_path / "blue").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no image of class 'blue' can be read"):
        load(list_classes(images_path), [SIDE], skip_bad=True)


def test_more_images_than_are_read_ahead_stay_in_order(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for number in range(100):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / "one" / f"{number:03}.png")
    loaded = load(list_classes(tmp_path), [2])
    assert loaded.resized[2][:, 0, 0, 0].tolist() == list(range(100))


def test_images_without_classes_are_found_in_any_folder(images_path: Path) -> None:
    (images_path / "red" / "deep").mkdir()
    (images_path / "red" / "deep" / "PHOTO.JPG").write_bytes(b"")
    (images_path / "beside.png").write_bytes(b"")
    for hidden in (".hidden.png", ".cache/0.png", "red/.thumbnails/0.png"):
        (images_path / hidden).parent.mkdir(exist_ok=True)
        (images_path / hidden).write_bytes(b"")
    (images_path / "notes.txt").write_text("")

    listing = list_images(images_path)

    assert (listing.classes, len(listing.paths)) == ((), 14)
    assert {images_path / "beside.png", images_path / "red" / "deep" / "PHOTO.JPG"} <= set(listing.paths)
    assert listing.paths == sorted(listing.paths)
    assert listing.labels.tolist() == [-1] * 14


def test_bad_images_without_classes_are_left_out_to_the_last(images_path: Path) -> None:
    for path in (images_path / "blue").iterdir():
        path.write_bytes(b"")

    assert len(load(list_images(images_path), [SIDE], skip_bad=True).paths) == 8
    assert load(list_images(images_path / "blue"), [SIDE], skip_bad=True).paths == []


def test_a_folder_that_is_missing_or_holds_no_image_is_an_error(images_path: Path) -> None:
    (images_path / "empty" / "deep").mkdir(parents=True)
    with pytest.raises(DataError, match=r"empty' has no images, .*\. Put .* Files count as"):
        list_images(images_path / "empty")
    with pytest.raises(DataError, match=r"No folder of images at .*Nearest: 'images'\. "):
        list_images(images_path.parent / "image")


def test_a_class_without_images_says_what_lies_there_instead(images_path: Path) -> None:
    (images_path / "yellow").mkdir()
    for name in ("1.cr2", "2.CR2", "list.txt"):
        (images_path / "yellow" / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"'yellow'.*2 \.cr2 \(convert.*1 other file.*remove the folder"):
        list_classes(images_path)


def test_an_expected_class_without_images_is_not_to_be_removed(images_path: Path) -> None:
    (images_path / "yellow").mkdir()
    classes = ("blue", "green", "red", "yellow")
    with pytest.raises(DataError, match=r"'yellow', which the bundle has\. Put images") as caught:
        list_classes(images_path, Expected(classes, "the bundle"))
    assert "remove" not in str(caught.value)


def test_other_classes_than_expected_are_met_before_empty_ones(images_path: Path) -> None:
    (images_path / "yellow").mkdir()
    with pytest.raises(DataError, match=r"Missing here: none\. Unknown to the bundle: 'yellow'"):
        list_classes(images_path, Expected(("blue", "green", "red"), "the bundle"))


def test_what_is_left_out_is_counted_over_all_classes(images_path: Path) -> None:
    for name in ("red/1.cr2", "blue/2.cr2", "beside.png", "red/._0.png"):
        (images_path / name).write_bytes(b"")
    left = list_classes(images_path).left_out
    assert (left.endings, left.outside, left.hidden) == ({".cr2": 2}, 1, 1)


def test_an_expected_class_may_be_spelled_in_another_form(images_path: Path) -> None:
    (images_path / "green").rename(images_path / "gr\u00fcn")
    assert list_classes(images_path, Expected(["red", "blue", "gru\u0308n"], "the bundle")).classes[1] == "gr\u00fcn"

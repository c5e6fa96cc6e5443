from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.copies import find_copies, join_parts
from sskt_edge.data.image_folder import FolderReader
from sskt_edge.data.images import ImageSet, labelled_sha256
from sskt_edge.data.readers import Reader
from sskt_edge.images.decode import read_square
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.data.small import folder_data, write_classes
from tests.data.tables import SEVERAL, SINGLE, reader, table


def parts_of(found: Reader) -> tuple[ImageSet, ImageSet | None, ImageSet]:
    return *found.training([16], QUIET), found.test([16], QUIET)


def test_a_row_is_an_image_with_its_class(tmp_path: Path) -> None:
    found = reader(table(tmp_path, "path,classes", *SINGLE), test_share=0.25)
    images, validation, test = parts_of(found)

    assert found.classes == ("cat", "dog", "emu") and validation is None
    assert np.bincount(images.labels).tolist() == [6, 6, 6] and np.bincount(test.labels).tolist() == [2, 2, 2]
    for part in (images, test):
        for row, name in enumerate(part.names):
            assert part.labels[row] == int(name[4:6]) % 3
            assert np.array_equal(part.resized[16][row], read_square(tmp_path / name, 16))
            assert part.hashes[row].tobytes() == hashlib.sha256((tmp_path / name).read_bytes()).digest()


def test_the_same_images_in_a_folder_of_classes_give_the_same_parts(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "images", {"cat": 12, "dog": 8})
    rows = [f"{file.relative_to(tmp_path)},{file.parent.name}" for file in sorted(folder.rglob("*.png"))]
    keys: dict[str, Any] = {"validation": 0.2, "per_class": 4, "test_share": 0.25}
    ours = parts_of(reader(table(tmp_path, "path,classes", *rows, images=0), **keys))
    theirs = parts_of(FolderReader(folder_data(folder, **keys)))

    for own, other in zip(ours, theirs, strict=True):
        assert own is not None and other is not None
        assert own.labels.tolist() == other.labels.tolist() and np.array_equal(own.hashes, other.hashes)


def test_several_classes_stand_in_one_cell_or_in_columns(tmp_path: Path) -> None:
    cells = reader(table(tmp_path / "a", "path,classes", *SEVERAL), MULTI_LABEL)
    rows = [f"{row.split(',')[0]},{int('cat' in row)},{int('dog' in row)}" for row in SEVERAL]
    columns = reader(table(tmp_path / "b", "path,cat,dog", *rows), MULTI_LABEL, {"classes": "*"})
    listed = reader(tmp_path / "b" / "labels.csv", MULTI_LABEL, {"classes": ["cat", "dog"]})

    sets = [parts_of(found)[0] for found in (cells, columns, listed)]
    assert [found.classes for found in (cells, columns, listed)] == [("cat", "dog")] * 3
    assert all(np.array_equal(one.labels, sets[0].labels) and one.names == sets[0].names for one in sets)
    assert sets[0].labels.dtype == np.int8 and {tuple(row) for row in sets[0].labels.tolist()} == {
        *((1, 0), (0, 1), (1, 1), (0, 0))
    }
    assert any("6 of 24 images have none" in note for note in cells.notes)


def test_a_class_that_is_not_known_is_ignored(tmp_path: Path) -> None:
    rows = [f"img/{number:02}.png,{number % 2},{(number % 3) - 1}" for number in range(24)]
    images, _, test = parts_of(reader(table(tmp_path, "path,cat,dog", *rows), MULTI_LABEL, {"classes": "*"}))
    assert {int(value) for part in (images, test) for value in part.labels[:, 1]} == {-1, 0, 1}


def test_one_class_an_image_may_stand_in_columns_too(tmp_path: Path) -> None:
    rows = [f"img/{number:02}.png,{int(number % 3 == 0)},{int(number % 3 != 0)}" for number in range(24)]
    images, _, _ = parts_of(reader(table(tmp_path, "path,cat,dog", *rows), options={"classes": "*"}))
    assert [int(label) for label in images.labels] == [int(int(name[4:6]) % 3 != 0) for name in images.names]


def with_parts(words: tuple[str, ...]) -> list[str]:
    return [f"{row},{words[number // 3 % len(words)]}" for number, row in enumerate(SINGLE)]


def test_the_parts_are_those_that_the_table_says(tmp_path: Path) -> None:
    found = reader(table(tmp_path, "path,classes,split", *with_parts(("train", "TEST", "Training", "val"))))
    images, _, test = parts_of(found)
    assert {int(name[4:6]) // 3 % 4 for name in images.names} == {0, 2} and len(images) == 12
    assert {int(name[4:6]) // 3 % 4 for name in test.names} == {1} and len(test) == 6
    assert any("6 rows of val" in note and "data.validation" in note for note in found.notes)


def test_val_is_the_test_set_where_there_is_no_test(tmp_path: Path) -> None:
    found = reader(table(tmp_path, "path,classes,split", *with_parts(("train", "val"))))
    assert len(found.test([16], QUIET)) == 12 and any("val are the test set" in note for note in found.notes)


def test_of_a_table_that_says_train_alone_a_share_is_held_out(tmp_path: Path) -> None:
    found = reader(table(tmp_path, "path,classes,part", *with_parts(("train",))), options={"split": "part"})
    assert len(found.test([16], QUIET)) == 6


def test_a_test_without_any_class_cannot_be_measured(tmp_path: Path) -> None:
    rows = [
        f"img/{number:02}.png,{('' if number < 4 else 'cat')},{'test' if number < 4 else 'train'}"
        for number in range(24)
    ]
    with pytest.raises(DataError, match="no test image has a class"):
        reader(table(tmp_path, "path,classes,split", *rows), MULTI_LABEL)


def test_weights_go_with_their_images(tmp_path: Path) -> None:
    rows = [f"{row},{number + 0.5}" for number, row in enumerate(SINGLE)]
    images, validation, test = parts_of(reader(table(tmp_path, "path,classes,weight", *rows), validation=0.25))
    assert validation is not None
    for part in (images, validation, test):
        assert part.weights is not None and part.weights.dtype == np.float32
        assert part.weights.tolist() == [int(name[4:6]) + 0.5 for name in part.names]
    assert parts_of(reader(table(tmp_path / "none", "path,classes", *SINGLE)))[0].weights is None


def test_other_weights_are_other_training_images(tmp_path: Path) -> None:
    hashes = set()
    for weight in ("1", "2", None):
        rows = [row if weight is None else f"{row},{weight}" for row in SINGLE]
        heads = "path,classes" if weight is None else "path,classes,weight"
        found = reader(table(tmp_path / str(weight), heads, *rows))
        hashes.add(labelled_sha256(found.classes, *found.training([16], QUIET)))
    assert len(hashes) == 3


def test_what_the_budget_leaves_over_has_no_labels(tmp_path: Path) -> None:
    for task, rows in ((SINGLE_LABEL, SINGLE), (MULTI_LABEL, SEVERAL)):
        found = reader(table(tmp_path / task.name, "path,classes", *rows), task, per_class=2, unlabelled="rest")
        rest, (labelled, _, test) = found.unlabelled([16], QUIET), parts_of(found)
        assert rest is not None and len(rest) + len(labelled) + len(test) == 24
        assert not task.known(rest.labels).any() and task.known(labelled.labels).all()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_part_cells_too(delimiter: str, tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes", *SEVERAL)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b",", delimiter.encode()).replace(b"\n", b"\r\n"))
    assert reader(path, MULTI_LABEL).classes == ("cat", "dog")


def test_quoted_cells_may_hold_anything(tmp_path: Path) -> None:
    rows = [f'img/{number:02}.png,"{("cat, black", "dog")[number % 2]}"' for number in range(24)]
    assert reader(table(tmp_path, "path,classes", *rows)).classes == ("cat, black", "dog")


def test_images_of_equal_content_and_other_classes_are_found(tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes", *SEVERAL)
    (tmp_path / "img" / "01.png").write_bytes((tmp_path / "img" / "00.png").read_bytes())
    images, _, test = parts_of(reader(path, MULTI_LABEL))
    found = find_copies(join_parts({"training": images, "test": test}))
    assert found.two_classes.count == 1 and found.shared == ()  # copies are never divided


def test_an_image_that_cannot_be_read_is_skipped_if_asked(tmp_path: Path) -> None:
    path = table(tmp_path, "path,classes", *SINGLE)
    (tmp_path / "img" / "04.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"04\.png"):
        parts_of(reader(path))
    images, _, test = parts_of(reader(path, skip_bad=True))
    assert len(images) + len(test) == 23
    for number in range(0, 24, 3):
        (tmp_path / "img" / f"{number:02}.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="'cat'"):
        parts_of(reader(path, skip_bad=True))

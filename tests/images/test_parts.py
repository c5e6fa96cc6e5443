from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.images.parts import find_parts, note_of_other_parts


def make(root: Path, *folders: str) -> Path:
    """An image in each folder; they are looked for by their endings alone."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "1.jpg").write_bytes(b"")
    return root


@pytest.mark.parametrize("test", ["test", "Test", "TESTING"])
@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "Training"])
def test_parts_are_found_in_any_case(tmp_path: Path, train: str, test: str) -> None:
    parts = find_parts(make(tmp_path, f"{train}/cat", f"{test}/cat"))

    assert parts is not None and parts.found == {"train": tmp_path / train, "test": tmp_path / test}
    assert parts.test == tmp_path / test and parts.notes() == []


@pytest.mark.parametrize("val", ["val", "VAL", "valid", "Validation"])
def test_val_is_the_test_set_where_there_is_no_test_and_that_is_said(tmp_path: Path, val: str) -> None:
    parts = find_parts(make(tmp_path, "train/cat", f"{val}/cat", "test"))  # ImageNet's own test/ has no classes

    assert parts is not None and parts.test == tmp_path / val
    assert parts.notes() == [f"{val}/ is the test set, since no test/ with class folders was found", "not used: test/"]


def test_parts_and_folders_that_are_not_used_are_said(tmp_path: Path) -> None:
    parts = find_parts(make(tmp_path, "train/cat", "test/cat", "val/cat", "extra/cat", "more"))

    assert parts is not None and parts.test == tmp_path / "test"
    (note,) = parts.notes()
    assert "extra/, more/, val/" in note and "data.validation" in note
    assert "more/" not in " ".join(parts.notes(unlabelled=tmp_path / "more"))
    assert "val" not in " ".join(parts.notes(unlabelled=tmp_path / "val"))


@pytest.mark.parametrize("pair", [("Train", "training"), ("test", "TEST"), ("val", "valid")])
def test_two_folders_for_one_part_are_both_named(tmp_path: Path, pair: tuple[str, str]) -> None:
    make(tmp_path, *(f"{part}/cat" for part in pair))
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does not tell capitals from small letters")

    with pytest.raises(DataError, match="two folders") as caught:
        find_parts(tmp_path)
    assert all(f"'{name}'" in str(caught.value) for name in pair)


@pytest.mark.parametrize(
    "folders", [("cat", "dog"), ("bus", "car", "train"), ("bus", "car", "Train"), ("tests", "trains")]
)
def test_sub_folders_that_are_classes_are_no_parts(tmp_path: Path, folders: tuple[str, ...]) -> None:
    assert find_parts(make(tmp_path, *folders)) is None


@pytest.mark.parametrize(
    "folders",
    [
        ("car", "train"),
        ("train", "test"),
        ("cat", "dog", "test"),
        ("bus", "car", "train", "test"),
        ("a", "b", "train/c"),
    ],
)
def test_folders_that_may_be_parts_are_not_taken_for_classes(tmp_path: Path, folders: tuple[str, ...]) -> None:
    assert find_parts(make(tmp_path, *folders)) is not None


@pytest.mark.parametrize(
    "pair", [("training_set", "test_set"), ("seg_train", "seg_test"), ("Images-Train", "images val")]
)
def test_folders_called_like_parts_are_refused_with_other_names(tmp_path: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="look like parts") as caught:
        find_parts(make(tmp_path, *(f"{name}/{animal}" for name in pair for animal in ("cat", "dog"))))
    assert f"'{pair[0]}' to 'train'" in str(caught.value)


def test_classes_that_are_called_like_parts_stay_classes(tmp_path: Path) -> None:
    assert find_parts(make(tmp_path / "flat", "train_station", "test_tube")) is None
    assert find_parts(make(tmp_path / "deep", "train station/day", "bus stop/day")) is None


def test_train_is_a_class_inside_of_a_part(tmp_path: Path) -> None:
    assert find_parts(make(tmp_path / "train", "car", "train")) is None


def test_a_known_class_is_a_class_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, "test", "valid")

    assert find_parts(tmp_path) is not None
    assert find_parts(tmp_path, {"test", "valid"}) is None
    make(tmp_path, "test/valid", "test/test")
    parts = find_parts(tmp_path, {"test", "valid"})
    assert parts is not None and parts.found == {"test": tmp_path / "test"}


def test_what_is_lacking_says_why_a_folder_does_not_count(tmp_path: Path) -> None:
    make(tmp_path, "train/cat")
    (tmp_path / "test" / "cat").mkdir(parents=True)
    (tmp_path / "test" / "cat" / "1.cr2").write_bytes(b"")
    parts = find_parts(tmp_path)

    assert parts is not None and parts.test is None
    assert "test/ has no sub-folders with images, but 1 .cr2" in parts.lacks("no test/<class>")


def test_a_part_that_is_named_itself_points_to_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "Train/cat", "test/cat", "val", "more/cat")

    (note,) = note_of_other_parts(tmp_path / "Train")
    assert "test/ next to Train/" in note and "val" not in note and str(tmp_path) in note
    assert note_of_other_parts(tmp_path / "more") == note_of_other_parts(tmp_path) == []
    monkeypatch.chdir(tmp_path / "Train")
    assert note_of_other_parts(Path()) == [note]

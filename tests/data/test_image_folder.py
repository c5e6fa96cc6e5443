from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.image_folder import FolderReader
from sskt_edge.data.images import ImageSet
from sskt_edge.images.decode import read_square
from tests.data.small import folder_data, write_classes


def training(root: Path, **keys: object) -> tuple[ImageSet, ImageSet | None]:
    return FolderReader(folder_data(root, **keys)).training([16], QUIET)


def contents(images: ImageSet | None) -> set[bytes]:
    assert images is not None
    return {row.tobytes() for row in images.hashes}


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "single", {"cat": 20, "dog": 10, "emu": 5})


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_classes(tmp_path / "split" / "train", {"cat": 6, "dog": 4})
    write_classes(tmp_path / "split" / "test", {"cat": 2, "dog": 3}, first=100)
    return tmp_path / "split"


def test_train_and_test_folders_are_taken_as_they_are(split: Path) -> None:
    reader = FolderReader(folder_data(split))
    images, validation = reader.training([16, 8], QUIET)
    test = reader.test([16], QUIET)

    assert reader.classes == ("cat", "dog")
    assert validation is None
    assert images.labels.tolist() == [0] * 6 + [1] * 4
    assert test.labels.tolist() == [0] * 2 + [1] * 3
    file = split / "train" / "dog" / "001.png"
    for size in (16, 8):
        assert np.array_equal(images.resized[size][7], read_square(file, size))
    assert images.hashes[7].tobytes() == hashlib.sha256(file.read_bytes()).digest()


def test_a_single_folder_is_split_into_the_share_of_each_class(single: Path) -> None:
    reader = FolderReader(folder_data(single, test_share=0.2))
    images, test = reader.training([16], QUIET)[0], reader.test([16], QUIET)

    assert np.bincount(images.labels).tolist() == [16, 8, 4]
    assert np.bincount(test.labels).tolist() == [4, 2, 1]
    assert not contents(images) & contents(test)


def test_the_split_depends_on_seed_and_content_not_on_names(single: Path, tmp_path: Path) -> None:
    def test_of(root: Path, **keys: object) -> set[bytes]:
        return contents(FolderReader(folder_data(root, **keys)).test([16], QUIET))

    renamed = shutil.copytree(single, tmp_path / "renamed")
    for path in sorted(renamed.rglob("*.png")):
        path.rename(path.with_name(f"{hashlib.md5(path.name.encode()).hexdigest()}.png"))

    assert test_of(single) == test_of(single) == test_of(renamed)
    assert test_of(single, split_seed=1) != test_of(single)


@pytest.mark.parametrize("keys", [{}, {"per_class": 3}, {"validation": 0.25}, {"validation": 0.25, "per_class": 3}])
def test_budget_and_validation_leave_the_test_images_alone(single: Path, keys: dict[str, object]) -> None:
    everything = FolderReader(folder_data(single)).test([16], QUIET)
    reader = FolderReader(folder_data(single, **keys))

    assert np.array_equal(reader.test([16], QUIET).hashes, everything.hashes)
    images, validation = reader.training([16], QUIET)
    assert not contents(images) & contents(everything)
    assert validation is None or not contents(validation) & contents(everything)


def test_a_budget_is_a_number_of_images_a_class(single: Path) -> None:
    images, _ = training(single, per_class=6)

    assert np.bincount(images.labels).tolist() == [6, 6, 4]
    assert contents(images) <= contents(training(single)[0])


def test_validation_images_are_a_share_of_each_class_and_never_train(single: Path) -> None:
    images, validation = training(single, validation=0.25)

    assert validation is not None
    assert np.bincount(validation.labels).tolist() == [4, 2, 1]
    assert not contents(images) & contents(validation)
    assert contents(images) | contents(validation) == contents(training(single)[0])
    assert set(validation.resized) == {16}


def test_a_budget_does_not_change_the_validation_images(single: Path) -> None:
    _, validation = training(single, validation=0.25)
    _, same = training(single, validation=0.25, per_class=2)

    assert contents(validation) == contents(same)


def test_classes_that_differ_between_train_and_test_are_listed(split: Path) -> None:
    (split / "test" / "dog").rename(split / "test" / "dogs")

    with pytest.raises(DataError, match=r"Missing here: 'dogs'\. Unknown to test/: 'dog'\."):
        FolderReader(folder_data(split))


def test_a_class_without_images_is_named(single: Path) -> None:
    (single / "fox").mkdir()

    with pytest.raises(DataError, match=r"no images for class 'fox'"):
        FolderReader(folder_data(single))


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "few", {"cat": 5, "dog": 1})

    with pytest.raises(DataError, match=r"Class 'dog' of .* has only one image"):
        FolderReader(folder_data(root))


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_every_class_keeps_an_image_to_train_whatever_is_held_out(tmp_path: Path, share: float) -> None:
    root = write_classes(tmp_path / "few", {"cat": 5, "dog": 2})
    reader = FolderReader(folder_data(root, test_share=share, validation=share))

    images, validation = reader.training([16], QUIET)

    assert set(images.labels.tolist()) == {0, 1}
    assert set(reader.test([16], QUIET).labels.tolist()) == {0, 1}
    assert validation is None or not contents(images) & contents(validation)


def test_a_single_class_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has only one class, 'cat'; training needs two"):
        FolderReader(folder_data(write_classes(tmp_path / "one", {"cat": 5})))


@pytest.mark.parametrize("parts", [("train",), ("Training",), ("val", "TEST"), ("test", "cat")])
def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        write_classes(tmp_path / part, {"cat": 3, "dog": 3})

    with pytest.raises(DataError, match=r"but not both train/<class> and test/<class>"):
        FolderReader(folder_data(tmp_path))


def test_an_unreadable_test_image_is_met_before_the_training(split: Path) -> None:
    (split / "test" / "cat" / "broken.png").write_bytes(b"not a picture")

    with pytest.raises(DataError, match=r"broken.png.*data.skip_bad = true"):
        training(split)


def test_an_unreadable_image_stops_and_says_how_to_skip_it(single: Path) -> None:
    (single / "cat" / "broken.png").write_bytes(b"not a picture")

    with pytest.raises(DataError, match=r"broken.png.*data.skip_bad = true"):
        reader = FolderReader(folder_data(single))
        reader.training([16], QUIET)
        reader.test([16], QUIET)


def test_unreadable_images_are_skipped_and_counted_where_asked(single: Path) -> None:
    for number in range(4):
        (single / "cat" / f"broken{number}.png").write_bytes(b"not a picture %d" % number)
    reader = FolderReader(folder_data(single, skip_bad=True))

    images, test = reader.training([16], QUIET)[0], reader.test([16], QUIET)

    assert len(images) + len(test) == 35
    assert len(reader.skipped) == 4
    assert all("broken" in line for line in reader.skipped)
    assert len(images.resized[16]) == len(images.labels) == len(images.hashes)


def test_a_class_of_which_nothing_can_be_read_is_named(split: Path) -> None:
    for path in (split / "train" / "dog").iterdir():
        path.write_bytes(path.name.encode())

    with pytest.raises(DataError, match=r"'dog'"):
        training(split, skip_bad=True)


def test_its_own_size_is_the_largest_short_side_of_the_training_images(split: Path) -> None:
    Image.new("RGB", (90, 40)).save(split / "train" / "cat" / "wide.png")
    Image.new("RGB", (300, 200)).save(split / "test" / "cat" / "test.png")

    assert FolderReader(folder_data(split)).own_size == 40


def test_a_missing_folder_offers_the_nearest(single: Path) -> None:
    with pytest.raises(DataError, match=r"No folder of images at '.*singel'. Nearest: 'single'"):
        FolderReader(folder_data(single.parent / "singel"))


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("TRAINING", "Testing"), ("train", "VAL")])
def test_parts_in_any_case_hold_the_classes(tmp_path: Path, train: str, test: str) -> None:
    write_classes(tmp_path / train, {"cat": 3, "dog": 2})
    write_classes(tmp_path / test, {"cat": 1, "dog": 1}, first=50)
    reader = FolderReader(folder_data(tmp_path))

    assert reader.classes == ("cat", "dog")
    assert (len(reader.training([16], QUIET)[0]), len(reader.test([16], QUIET))) == (5, 2)


def test_a_class_called_train_is_learnt_by_others_and_inside_parts(tmp_path: Path) -> None:
    counts = {"bus": 2, "car": 2, "train": 2}
    assert FolderReader(folder_data(write_classes(tmp_path / "flat", counts))).classes == ("bus", "car", "train")
    write_classes(tmp_path / "parts" / "train", counts)
    write_classes(tmp_path / "parts" / "test", counts, first=50)
    assert FolderReader(folder_data(tmp_path / "parts")).classes == ("bus", "car", "train")


def test_a_layout_that_cannot_be_told_is_refused_with_one_that_works(tmp_path: Path) -> None:
    write_classes(tmp_path, {"car": 2, "train": 2})
    with pytest.raises(DataError, match=r"If 'train' is a class, .* train/train and test/train"):
        FolderReader(folder_data(tmp_path))
    for part in ("train", "test"):
        write_classes(tmp_path / "mended" / part, {"car": 2, "train": 2})
    assert FolderReader(folder_data(tmp_path / "mended")).classes == ("car", "train")


def test_train_and_test_may_spell_a_class_differently(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"cafe\u0301": 3, "zoo": 2})
    write_classes(tmp_path / "test", {"caf\u00e9": 1, "zoo": 1}, first=50)
    reader = FolderReader(folder_data(tmp_path))

    assert reader.classes == ("caf\u00e9", "zoo")
    assert reader.test([16], QUIET).labels.tolist() == [0, 1]


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_that_is_empty_in_one_part_is_not_to_be_removed(split: Path, part: str) -> None:
    for path in (split / part / "dog").iterdir():
        path.unlink()

    with pytest.raises(DataError, match="no images for class 'dog'") as caught:
        FolderReader(folder_data(split))
    assert "remove" not in str(caught.value)


def test_what_is_not_taken_is_noted_once_for_all_folders(split: Path, tmp_path: Path) -> None:
    for folder in (split / "train" / "cat", split / "test" / "dog", tmp_path / "more"):
        folder.mkdir(exist_ok=True)
        (folder / "1.cr2").write_bytes(b"")
    write_classes(tmp_path, {"more": 1}, first=200)
    write_classes(split, {"extra": 1}, first=210)

    parts, labelled, unlabelled = FolderReader(folder_data(split, unlabelled=str(tmp_path / "more"))).notes
    assert "extra/" in parts and "2 .cr2" in labelled
    assert "data.unlabelled" in unlabelled and "1 .cr2" in unlabelled


def test_unlabelled_images_next_to_the_parts_are_used(split: Path) -> None:
    write_classes(split, {"more": 2}, first=210)

    assert FolderReader(folder_data(split, unlabelled=str(split / "more"))).notes == []


def test_a_file_whose_name_is_not_utf8_is_trained_on(single: Path) -> None:
    try:
        (single / "cat" / "000.png").rename(single / "cat" / "caf\udce9.png")
        (single / "dog" / "bad\udce9.png").write_bytes(b"no image")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes only UTF-8")
    reader = FolderReader(folder_data(single, skip_bad=True))
    names = [*reader.training([16], QUIET)[0].names, *reader.test([16], QUIET).names]

    assert len(names) == 35 and "cat/caf\\xe9.png" in names
    assert "bad\\xe9.png" in "".join(reader.skipped) and "".join(reader.skipped).encode()


def doubled(root: Path) -> Path:
    """Every image a second time, under another name."""
    for path in sorted(root.rglob("*.png")):
        shutil.copy(path, path.with_stem(f"{path.stem} (1)"))
    return root


@pytest.mark.parametrize("share", [0.05, 0.2, 0.37])
@pytest.mark.parametrize("keys", [{}, {"validation": 0.25}, {"validation": "rest", "per_class": 3}])
def test_copies_stay_on_one_side_of_every_split(single: Path, share: float, keys: dict[str, object]) -> None:
    reader = FolderReader(folder_data(doubled(single), test_share=share, **keys))
    images, validation = reader.training([16], QUIET)
    test = reader.test([16], QUIET)

    assert not contents(images) & contents(test)
    assert set(test.labels.tolist()) == {0, 1, 2}
    assert (validation is None) == (not keys)
    if validation is not None:
        assert not contents(validation) & (contents(images) | contents(test))


def test_one_image_under_two_classes_stays_on_one_side(single: Path) -> None:
    for path in sorted((single / "dog").iterdir()):
        shutil.copy(path, single / "cat" / f"dog {path.name}")
    for seed in range(4):
        reader = FolderReader(folder_data(single, test_share=0.5, split_seed=seed))

        assert not contents(reader.training([16], QUIET)[0]) & contents(reader.test([16], QUIET))


def test_a_class_of_copies_of_one_image_cannot_be_split(single: Path) -> None:
    for path in sorted((single / "emu").iterdir())[1:]:
        shutil.copy(single / "emu" / "000.png", path)

    with pytest.raises(DataError, match=r"'emu'.*copies"):
        training(single)


def test_given_test_images_stay_whatever_they_are_copies_of(split: Path) -> None:
    shutil.copy(split / "train" / "cat" / "000.png", split / "test" / "cat" / "again.png")
    reader = FolderReader(folder_data(split, validation=0.25))

    reader.training([16], QUIET)
    assert len(reader.test([16], QUIET)) == 6


@pytest.mark.parametrize("given", [True, False])
def test_the_contents_of_the_test_images_are_known_without_their_pixels(split: Path, given: bool) -> None:
    (split / "test" / "cat" / "broken.png").write_bytes(b"not a picture")
    reader = FolderReader(folder_data(split if given else split / "train", skip_bad=True))
    known = reader.test_contents(QUIET)

    assert (known.resized, reader.skipped) == ({}, [])
    test = reader.test([16], QUIET)
    assert np.array_equal(known.hashes, test.hashes) and known.names == test.names
    assert np.array_equal(known.labels, test.labels)

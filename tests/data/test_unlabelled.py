from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET, Bar
from sskt_edge.data.arrays import ArrayReader, Arrays
from sskt_edge.data.image_folder import FolderReader
from sskt_edge.data.images import ImageSet
from sskt_edge.data.readers import Reader
from sskt_edge.data.unlabelled import packed, unknown_rows
from sskt_edge.images.decode import read_square
from sskt_edge.recipe.models import DataOptions
from tests.data.small import folder_data, hashes_of, picture, write_classes

IMAGES = np.random.default_rng(0).integers(0, 256, (36, 12, 12, 3), dtype=np.uint8)
LABELS = np.tile(np.arange(3, dtype=np.int64), 8)


class Said:
    """Progress that remembers its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def bar(self, what: str, total: int) -> AbstractContextManager[Bar]:
        return QUIET.bar(what, total)

    def say(self, line: str) -> None:
        self.lines.append(line)


def array_reader(**keys: object) -> ArrayReader:
    """24 training and 12 test images of 12×12."""
    data = DataOptions.model_validate({"name": "digits", "image_size": 12, **keys})
    train = Arrays(IMAGES[:24].copy(), LABELS, "train", range(24))
    return ArrayReader(data, "abc", train, lambda: Arrays(IMAGES[24:].copy(), LABELS[:12], "test", range(12)))


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "single", {"cat": 20, "dog": 10, "emu": 5})


@pytest.fixture
def split(tmp_path: Path) -> Path:
    write_classes(tmp_path / "split" / "train", {"cat": 6, "dog": 4})
    write_classes(tmp_path / "split" / "test", {"cat": 2, "dog": 3}, first=100)
    return tmp_path / "split"


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Six images in folders of any depth."""
    return write_classes(tmp_path / "more", {"a": 3, "b/c": 3}, first=200)


def of(reader: Reader, progress: Said | None = None, size: int = 16) -> ImageSet:
    images = reader.unlabelled([size], progress or QUIET)
    assert images is not None
    assert images.labels.tolist() == [-1] * len(images)
    assert len(images.resized[size]) == len(images.hashes) == len(images.names) == len(images)
    return images


def contents(*parts: ImageSet | None) -> list[bytes]:
    return [row.tobytes() for part in parts if part is not None for row in part.hashes]


def test_without_the_key_there_are_none(single: Path) -> None:
    assert FolderReader(folder_data(single)).unlabelled([16], QUIET) is None
    assert array_reader().unlabelled([12], QUIET) is None


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_the_rest_is_what_neither_budget_nor_validation_nor_test_took(single: Path, validation: float) -> None:
    folder = FolderReader(folder_data(single, per_class=3, validation=validation, unlabelled="rest"))
    arrays = array_reader(per_class=3, validation=validation, unlabelled="rest")
    everything = {hashlib.sha256(path.read_bytes()).digest() for path in single.rglob("*.png")}
    published = {hashlib.sha256(image.tobytes()).digest() for image in IMAGES}

    for reader, size, whole in ((folder, 16, everything), (arrays, 12, published)):
        parts = contents(of(reader, size=size), *reader.training([size], QUIET), reader.test([size], QUIET))
        assert len(parts) == len(whole)
        assert set(parts) == whole


def test_the_rest_changes_no_labelled_image(single: Path) -> None:
    with_rest = FolderReader(folder_data(single, per_class=3, unlabelled="rest"))
    of(with_rest)

    labelled = with_rest.training([16], QUIET)[0]

    assert labelled.names == FolderReader(folder_data(single, per_class=3)).training([16], QUIET)[0].names


def test_a_class_may_be_missing_from_the_rest(single: Path) -> None:
    for path in (single / "cat").glob("0*.png"):
        path.write_bytes(path.name.encode())
    images = of(
        FolderReader(folder_data(single, per_class=1, unlabelled="rest", skip_bad=True, test_share=0.1)), size=16
    )

    assert not any(name.startswith("cat/") for name in images.names)


def test_a_folder_is_searched_through_and_named_by_its_paths(split: Path, more: Path) -> None:
    images = of(FolderReader(folder_data(split, unlabelled=str(more))))

    assert images.names == tuple((more / name).as_posix() for name in NAMES)
    for name, square in zip(NAMES, images.resized[16], strict=True):
        assert np.array_equal(square, read_square(more / name, 16))


NAMES = ("a/000.png", "a/001.png", "a/002.png", "b/c/000.png", "b/c/001.png", "b/c/002.png")


def test_what_lies_below_the_root_is_named_from_there(split: Path, more: Path) -> None:
    below = more.rename(split / "more")

    assert of(FolderReader(folder_data(split, unlabelled=str(below)))).names == tuple(f"more/{name}" for name in NAMES)
    labelled, _ = FolderReader(folder_data(split)).training([16], QUIET)
    assert labelled.names[6] == "train/dog/000.png"


def test_a_name_that_is_no_utf8_can_be_printed(split: Path, more: Path) -> None:
    try:
        Image.fromarray(picture(500)).save(more / "caf\udce9.png")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes only UTF-8")
    names = of(FolderReader(folder_data(split, unlabelled=str(more)))).names

    assert len(" ".join(names).encode()) and any(name.endswith("caf\\xe9.png") for name in names)


def test_known_images_of_a_folder_are_left_out_and_counted(split: Path, more: Path) -> None:
    shutil.copy(split / "test" / "cat" / "001.png", more / "a" / "leak.png")
    for number in range(2):
        shutil.copy(split / "train" / "dog" / f"00{number}.png", more / f"met{number}.png")
    progress = Said()

    images = of(FolderReader(folder_data(split, unlabelled=str(more))), progress)

    assert images.names == tuple((more / name).as_posix() for name in NAMES)
    assert np.array_equal(images.resized[16][5], read_square(more / "b/c/002.png", 16))
    said = "left out because their content equals 1 of the test images and 2 of the labelled training images"
    assert progress.lines == [f"data.unlabelled = '{more}': {said}"]


def test_the_whole_data_set_as_a_folder_gives_what_is_left_over(single: Path) -> None:
    keys = {"per_class": 3, "validation": 0.2}
    progress = Said()

    images = of(FolderReader(folder_data(single, unlabelled=str(single), **keys)), progress)

    assert set(contents(images)) == set(contents(of(FolderReader(folder_data(single, unlabelled="rest", **keys)))))
    assert (
        "7 of the test images and 9 of the labelled training images and 6 of the validation images" in progress.lines[0]
    )


def test_a_folder_may_join_published_images_and_their_copies_are_known(more: Path) -> None:
    parts = array_reader(per_class=3, validation="rest").training([12], QUIET)
    for place, image in enumerate([IMAGES[30], *(part.resized[12][0] for part in parts if part is not None)]):
        Image.fromarray(image).save(more / f"copy{place}.png")
    progress = Said()

    reader = array_reader(per_class=3, validation="rest", unlabelled=str(more))
    images = of(reader, progress, size=20)

    assert set(images.resized) == {20}
    assert images.names == tuple((more / name).as_posix() for name in NAMES)
    assert np.array_equal(images.resized[20][4], read_square(more / NAMES[4], 20))
    assert "1 of the test images and 1 of the labelled training images and 1 of the validation" in progress.lines[0]


def test_published_images_that_are_known_are_left_out() -> None:
    doubled = IMAGES[:24].copy()
    train = Arrays(doubled, LABELS, "train", range(24))
    labelled = array_reader(per_class=1).training([12], QUIET)[0]
    data = DataOptions.model_validate({"name": "stl10", "image_size": 12, "per_class": 1, "unlabelled": "unlabeled"})
    given = np.concatenate([IMAGES[24:26], labelled.resized[12][:1], 255 - IMAGES[:4]])
    own = Arrays(given.copy(), np.full(7, -1, dtype=np.int64), "unlabeled", range(7))
    test = Arrays(IMAGES[24:], LABELS[:12], "test", range(12))
    progress = Said()

    images = of(ArrayReader(data, "abc", train, lambda: test, lambda: own), progress, size=12)

    assert np.array_equal(images.resized[12], given[3:])
    assert images.names == tuple(f"unlabeled[{row}]" for row in range(3, 7))
    assert "2 of the test images and 1 of the labelled training images" in progress.lines[0]


def readers(root: Path, **keys: object) -> Iterator[Reader]:
    yield FolderReader(folder_data(root, **keys))
    yield array_reader(**keys)


def test_an_unreadable_image_stops_or_is_skipped_and_counted(split: Path, more: Path) -> None:
    (more / "b" / "broken.png").write_bytes(b"not a picture")

    for reader in readers(split, unlabelled=str(more)):
        with pytest.raises(DataError, match=r"broken.png.*data.skip_bad = true"):
            reader.unlabelled([16], QUIET)
    for reader in readers(split, unlabelled=str(more), skip_bad=True):
        assert len(of(reader)) == 6
        assert ["broken.png" in line for line in reader.skipped] == [True]


def test_a_missing_or_empty_folder_is_met_when_the_data_is_opened(split: Path, more: Path) -> None:
    (more / "empty").mkdir()
    for folder in (more / "empty", more / "gone"):
        for opened in (lambda keys: FolderReader(folder_data(split, **keys)), lambda keys: array_reader(**keys)):
            with pytest.raises(DataError, match=rf"^data.unlabelled = '.*{folder.name}': .*{folder.name}'"):
                opened({"unlabelled": str(folder)})


def test_a_folder_that_is_missing_may_be_a_kind_misspelt() -> None:
    with pytest.raises(DataError, match=r"Nearest: 'unlabeled'\.$"):
        array_reader(unlabelled="unlabelled")


def test_no_image_left_is_an_error_that_says_why(split: Path, more: Path) -> None:
    with pytest.raises(DataError, match=r"leaves no image: .* 5 of the test images\. Name other images"):
        FolderReader(folder_data(split, unlabelled=str(split / "test"))).unlabelled([16], QUIET)
    with pytest.raises(DataError, match=r"'rest' leaves no image: none .*Lower data.per_class"):
        FolderReader(folder_data(split, per_class=6, unlabelled="rest")).unlabelled([16], QUIET)
    for path in more.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"leaves no image: none of them can be read"):
        array_reader(unlabelled=str(more), skip_bad=True).unlabelled([16], QUIET)


@pytest.mark.parametrize("where", ["dog", "dog/deep"])
def test_a_folder_within_the_classes_is_refused(single: Path, where: str) -> None:
    write_classes(single, {"dog/deep": 2}, first=300)

    with pytest.raises(DataError, match=r"whose sub-folders are classes, .*'dog'\. Move the unlabelled images out"):
        FolderReader(folder_data(single, unlabelled=str(single / where)))


def test_a_hidden_folder_beside_the_classes_is_none_of_them(single: Path, more: Path) -> None:
    hidden = more.rename(single / ".more")

    assert len(of(FolderReader(folder_data(single, unlabelled=str(hidden))))) == 6


def test_a_file_is_hashed_by_what_it_held_when_it_was_divided(single: Path) -> None:
    """A file that is saved again while the training runs moves no image from one part to another."""
    reader = FolderReader(folder_data(single, per_class=3, unlabelled="rest"))
    labelled = reader.training([16], QUIET)[0]
    Image.fromarray(picture(999)).save(single / labelled.names[0])

    assert not {*labelled.names} & {*reader.test([16], QUIET).names, *of(reader).names}


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_that_cannot_be_opened_is_no_traceback(single: Path, skip_bad: bool) -> None:
    (single / "cat" / "lost.png").symlink_to(single / "nowhere.png")
    reader = FolderReader(folder_data(single, skip_bad=skip_bad))

    if skip_bad:
        assert len(reader.training([16], QUIET)[0]) + len(reader.test([16], QUIET)) == 35
    else:
        with pytest.raises(DataError, match=r"lost.png' cannot be read.*data.skip_bad = true"):
            reader.training([16], QUIET)


def test_an_image_known_twice_is_counted_once_as_what_matters_most() -> None:
    progress, hashes = Said(), hashes_of(5)

    rows = unknown_rows(
        DataOptions(name="digits", unlabelled="x"), hashes, {"first": hashes[:2], "second": hashes[1:3]}, progress
    )

    assert rows.tolist() == [3, 4]
    assert progress.lines[0].endswith("left out because their content equals 2 of the first and 1 of the second")


def test_packed_rows_stay_in_the_same_memory() -> None:
    images = np.arange(20).reshape(10, 2).astype(np.uint8)
    rows = np.array([0, 3, 4, 9])
    expected = images[rows]

    kept = packed(images, rows)

    assert np.array_equal(kept, expected)
    assert np.shares_memory(kept, images)

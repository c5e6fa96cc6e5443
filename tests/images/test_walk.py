from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sskt_edge.common.errors import DataError
from sskt_edge.images.formats import image_endings
from sskt_edge.images.walk import has_images, images_below, must_be_folder, sub_folders


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.fixture
def not_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In `tmp_path`, as a user whom the permissions of its folders bind, which root is not."""
    image_endings()  # imports what that user may not read
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    if not hasattr(os, "geteuid"):
        pytest.skip("the permissions are those of POSIX")
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    yield
    os.seteuid(own)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)


def test_the_count_of_each_ending_is_kept(tmp_path: Path) -> None:
    touch(
        *(tmp_path / name for name in ("1.JPG", "2.jfif", "3.heic2", "4.HEIC2", "noending", ".hidden.jpg", ".DS_Store"))
    )

    paths, left = images_below(tmp_path)

    assert [path.name for path in paths] == ["1.JPG", "2.jfif"]
    assert (left.endings, left.hidden) == (Counter({".heic2": 2, "": 1}), 1)


@pytest.mark.parametrize(
    "name", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "System Volume Information", ".git"]
)
def test_folders_of_a_system_are_neither_classes_nor_images(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "cat" / "1.jpg", tmp_path / "cat" / name / "1.jpg", tmp_path / name / "1.jpg")

    assert images_below(tmp_path) == ([tmp_path / "cat" / "1.jpg"], images_below(tmp_path)[1])
    assert images_below(tmp_path)[1].folders == Counter({name: 2})
    assert sub_folders(tmp_path)[0] == ["cat"] and sub_folders(tmp_path)[1].folders == Counter({name: 1})


def test_images_in_no_sub_folder_are_counted_other_files_are_usual(tmp_path: Path) -> None:
    touch(tmp_path / "cat" / "1.jpg", tmp_path / "2.jpg", tmp_path / "README.md", tmp_path / "._2.jpg")
    for name, target in {"dog": "nowhere", "self": ".", "up": ".."}.items():
        (tmp_path / name).symlink_to(target)

    names, left = sub_folders(tmp_path)

    assert (names, left.outside, left.hidden, left.links) == (["cat"], 1, 1, Counter({"dog": 1, "self": 1, "up": 1}))


def test_links_to_folders_are_followed_once_and_never_upwards(tmp_path: Path) -> None:
    touch(tmp_path / "all" / "cat" / "1.jpg", tmp_path / "all" / "dog" / "2.jpg", tmp_path / "more" / "3.jpg")
    cat = tmp_path / "all" / "cat"
    for name, target in {"b": "more", "c": "more", "up": "all", "self": "all/cat", "dead": "nowhere"}.items():
        (cat / name).symlink_to(tmp_path / target)
    (tmp_path / "more" / "round").symlink_to(tmp_path / "more")

    paths, left = images_below(cat)

    assert [path.relative_to(cat).as_posix() for path in paths] == ["1.jpg", "b/3.jpg"]
    assert left.links == Counter({"up": 1, "self": 1, "dead": 1})


def test_a_folder_whose_name_only_begins_as_its_parents_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "cat" / "1.jpg", tmp_path / "ca" / "2.jpg")
    (tmp_path / "cat" / "link").symlink_to(tmp_path / "ca")

    assert len(images_below(tmp_path / "cat")[0]) == 2


def test_an_image_anywhere_below_is_found(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "b" / "1.txt", tmp_path / "c" / ".x" / "1.jpg")
    assert not has_images(tmp_path)
    touch(tmp_path / "a" / "b" / "1.png")
    assert has_images(tmp_path)


@pytest.mark.parametrize("locked", ["photos", "photos/cat", "photos/cat/deep"])
def test_a_folder_that_may_not_be_listed_is_named_with_the_reason(
    tmp_path: Path, locked: str, request: pytest.FixtureRequest
) -> None:
    touch(tmp_path / "photos" / "cat" / "1.jpg", tmp_path / "photos" / "cat" / "deep" / "2.jpg")
    (tmp_path / locked).chmod(0)
    request.getfixturevalue("not_root")

    with pytest.raises(DataError, match=f"'{locked}' cannot be listed: Permission denied"):
        images_below(Path("photos"))


def test_a_root_that_cannot_be_listed_is_named_with_the_reason(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos").chmod(0)
    request.getfixturevalue("not_root")

    with pytest.raises(DataError, match="'photos' cannot be listed: Permission denied"):
        sub_folders(Path("photos"))
    with pytest.raises(DataError, match="'photos/cat' cannot be read: Permission denied"):
        must_be_folder(Path("photos/cat"))


def test_what_is_not_a_folder_is_called_what_it_is(tmp_path: Path) -> None:
    touch(tmp_path / "file.jpg")
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for name, reason in {
        "file.jpg": "is not a folder",
        "dead": "is a link to 'nowhere', which is missing",
        "a": "cannot be read: .*links",
        "file.jpg/below": "No folder",
        "nul\0": "No folder",
        "x" * 300: "cannot be read: .*long",
    }.items():
        with pytest.raises(DataError, match=reason):
            must_be_folder(tmp_path / name)

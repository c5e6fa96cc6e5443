"""predict as a user runs it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.bundle.several import write_several, write_table
from tests.bundle.tiny import write_bundle, write_images
from tests.cli.run import Verb, sskt_edge
from tests.sealed import of_before

pytest.importorskip("onnxruntime")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images next to a bundle."""
    write_bundle(tmp_path / "bundle")
    write_images(tmp_path / "photos", 1)
    return tmp_path / "photos"


def test_one_bad_file_is_told_and_the_others_are_answered(verb: Verb, photos: Path) -> None:
    (photos / "bad.jpg").write_text("not an image")
    code, said, errors = verb("predict", "bundle", "photos", "nowhere.png")
    assert code == 1
    assert [line.split()[:2] for line in said.splitlines()[1:]] == [
        [f"photos/{name}/0.png", name] for name in ("blue", "green", "red")
    ]
    bad, nowhere = (line for line in errors.splitlines() if line.startswith("error: "))
    assert "'photos/bad.jpg'" in bad and "'nowhere.png'" in nowhere
    code, said, errors = verb("predict", "bundle", "photos/red/0.png", "nowhere.png", "--json")
    good, failed = json.loads(said)["images"]
    assert code == 1 and "'nowhere.png'" in errors
    assert good["image"] == "photos/red/0.png" and max(good["classes"], key=good["classes"].get) == "red"
    assert failed["image"] == "nowhere.png" and failed["error"]["kind"] == "DataError"


def test_what_of_a_folder_is_not_taken_is_said(photos: Path) -> None:
    (photos / "1.cr2").write_bytes(b"")
    done = sskt_edge("predict", "bundle", "photos", cwd=photos.parent)
    assert done.returncode == 0 and "photos/red/0.png" in done.stdout
    assert "'photos': ignored: 1 .cr2" in done.stderr


def test_where_none_can_be_read_the_input_is_wrong(verb: Verb, photos: Path) -> None:
    (photos / "empty").mkdir()
    for words in (["nowhere.png"], ["photos/empty"], ["nowhere.png", "photos/empty"]):
        code, said, errors = verb("predict", "bundle", *words)
        assert (code, said) == (2, "")
        assert errors.count("error: ") == len(words) and "emove" not in errors


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are Unicode there")
def test_a_name_that_is_not_utf_8_is_shown_by_its_escape(verb: Verb, photos: Path) -> None:
    name = os.fsdecode(b"photos/caf\xe9\x1b.png")
    (photos / "red" / "0.png").rename(photos.parent / name)
    for encoding in ("utf-8", "ascii"):
        code, said, _ = verb("predict", "bundle", name, encoding=encoding)
        assert code == 0 and r"photos/caf\xe9\x1b.png  red" in said
    code, said, _ = verb("predict", "bundle", name, "--json")
    assert json.loads(said)["images"][0]["image"] == "photos/caf\\xe9\x1b.png"
    code, said, errors = verb("predict", name, "x.png", "--json")
    assert code == 2 and r"photos/caf\xe9" in errors and r"photos/caf\xe9" in json.loads(said)["error"]["message"]


def test_a_manifest_without_its_own_hash_is_noted(verb: Verb, photos: Path) -> None:
    image = "photos/red/0.png"
    assert json.loads(verb("predict", "bundle", image, "--json")[1])["notes"] == []
    of_before(photos.parent / "bundle" / "manifest.json", schema_version=2)

    code, said, errors = verb("predict", "bundle", image)
    assert code == 0 and "hash" not in said and errors.count("'bundle/manifest.json' was written by an older") == 1

    code, said, errors = verb("predict", "bundle", image, "--json")
    (note,) = json.loads(said)["notes"]
    assert (code, errors) == (0, "") and "bundle/manifest.json" in note


def test_what_the_network_decides_is_marked(verb: Verb, tmp_path: Path) -> None:
    write_several(tmp_path / "several")
    write_table(tmp_path / "photos")
    names = ("photos/none 0.png", "photos/red-green 0.png")
    code, said, errors = verb("predict", "several", *names, "--top", "1")
    assert code == 0, errors
    assert [line.count(" *") for line in said.splitlines()[1:]] == [0, 2]
    _, said, _ = verb("predict", "several", *names, "--top", "1", "--json")
    none, both = json.loads(said)["images"]
    assert none["decided"] == [] and len(none["classes"]) == 1
    assert set(both["decided"]) == {"red", "green"} == set(both["classes"])

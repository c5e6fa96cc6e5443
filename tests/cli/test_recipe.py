"""Looking at recipes without training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sskt_edge.cli.main import app
from sskt_edge.recipe.shipped import shipped_recipes
from tests.cli.run import sskt_edge
from tests.data.small import write_classes


def test_list_names_every_shipped_recipe(tmp_path: Path) -> None:
    done = sskt_edge("recipe", "list", cwd=tmp_path)
    for name in shipped_recipes():
        assert name in done.stdout
    assert set(json.loads(sskt_edge("recipe", "list", "--json", cwd=tmp_path).stdout)) == set(shipped_recipes())


def test_show_prints_the_file_as_it_is(tmp_path: Path) -> None:
    text = shipped_recipes()["flowers"].read_text()
    assert sskt_edge("recipe", "show", "flowers", cwd=tmp_path).stdout == text
    assert json.loads(sskt_edge("recipe", "show", "flowers", "--json", cwd=tmp_path).stdout)["text"] == text


def test_check_lays_set_over_the_recipe(tmp_path: Path) -> None:
    done = sskt_edge("recipe", "check", "flowers", "--set", "train.epochs=7", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["recipe"]["train"]["epochs"] == 7
    assert "a valid recipe" in sskt_edge("recipe", "check", "flowers", cwd=tmp_path).stdout


def test_schema_is_that_of_a_recipe(tmp_path: Path) -> None:
    schema = json.loads(sskt_edge("recipe", "schema", cwd=tmp_path).stdout)
    assert set(schema["required"]) == {"name", "data", "target"}
    assert schema["additionalProperties"] is False


def new_recipe(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    app(["recipe", "new", "--target", "resnet20", *words], standalone_mode=False)
    return capsys.readouterr().out


def test_new_says_which_classes_and_folders_it_found_and_what_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for number, part in enumerate(("Train", "VAL")):
        write_classes(Path("photos", part), {f"class {letter}": 1 for letter in "abcdefghijkl"}, first=50 * number)
    Path("photos/Train/class a/1.cr2").write_bytes(b"")

    said = new_recipe(capsys, "--data", "photos")
    plain = json.loads(new_recipe(capsys, "--data", "photos", "--out", "other.toml", "--json"))

    assert "class a, class b" in said and "class j and 2 more" in said and "class k" not in said
    assert "VAL/ is the test set" in said and "1 .cr2" in said
    assert (len(plain["train"]), len(plain["test"])) == (12, 12)
    assert "VAL/ is the test set" in plain["notes"][0] and "1 .cr2" in plain["not_taken"]
    assert "# VAL/ is the test set" in Path("photos.toml").read_text()

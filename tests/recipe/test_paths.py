from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.errors import CheckpointError, DataError, NetworkError, RunError
from sskt_edge.recipe.load import load_recipe, parse_recipe
from sskt_edge.recipe.paths import check_paths
from tests.recipe.small import SCRATCH, TEXT

FOLDER = SCRATCH.replace('"digits"', '"imagefolder", root = "photos"')


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes below the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "mine.toml").write_text(FOLDER)
    return folder


def test_a_root_beside_the_recipe_is_found(recipes: Path) -> None:
    (recipes / "photos").mkdir()
    assert load_recipe("recipes/mine.toml").data.root == "recipes/photos"


def test_the_current_folder_comes_first(recipes: Path) -> None:
    (recipes / "photos").mkdir()
    Path("photos").mkdir()
    assert load_recipe("recipes/mine.toml").data.root == "photos"


def test_a_root_that_is_set_belongs_to_the_current_folder(recipes: Path) -> None:
    (recipes / "other").mkdir()
    assert load_recipe("recipes/mine.toml", ["data.root=other"]).data.root == "other"


def test_every_input_of_a_recipe_is_found_beside_it(recipes: Path) -> None:
    text = TEXT.replace('"digits"', '"imagefolder"\nroot = "photos"\nunlabelled = "more"')
    text = text.replace('"resnet20"', '"resnet20"\ncheckpoint = "start.pth"')
    text = text.replace("torchvision/resnet50", "onnx/net.onnx", 1).replace('weights = "IMAGENET1K_V1"\n', "")
    (recipes / "mine.toml").write_text(text)
    for name in ("photos", "more", "net.onnx", "start.pth", "places.pth"):
        (recipes / name).mkdir()
    found = load_recipe("recipes/mine.toml")
    assert (found.data.root, found.data.unlabelled) == ("recipes/photos", "recipes/more")
    assert found.target.checkpoint == "recipes/start.pth"
    assert [source.model for source in found.sources] == ["onnx/recipes/net.onnx", "torchvision/resnet50"]
    assert found.sources[1].checkpoint == "recipes/places.pth"


def test_a_missing_root_names_both_places_and_the_nearest(recipes: Path) -> None:
    (recipes / "photo").mkdir()
    with pytest.raises(DataError, match=r"data.root = 'photos'") as caught:
        check_paths(load_recipe("recipes/mine.toml"), Path("recipes/mine.toml"))
    assert f"'{recipes.parent}'" in str(caught.value)
    assert f"'{recipes}'" in str(caught.value)
    assert "Nearest: 'photo'" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "error", "key"),
    [
        ("target.checkpoint=start.pth", CheckpointError, "target.checkpoint"),
        ("sources.0={name='a', model='onnx/net.onnx'}", NetworkError, "sources.a.model"),
        ("sources.0={name='a', model='run/runs/x'}", RunError, "sources.a.model"),
        ("sources.0.checkpoint=a.pth", CheckpointError, "sources.imagenet.checkpoint"),
        ("data.unlabelled=more", DataError, "data.unlabelled"),
    ],
)
def test_what_is_missing_is_named_by_its_key(
    override: str, error: type[Exception], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=f"^{key} = "):
        check_paths(parse_recipe(TEXT, [override]), tmp_path / "mine.toml")


def test_what_is_downloaded_or_not_used_is_not_asked_for(tmp_path: Path) -> None:
    text = TEXT.replace('checkpoint = "places.pth"', 'weights = "IMAGENET1K_V1"').replace('"digits"', '"stl10"')
    check_paths(parse_recipe(text), tmp_path / "mine.toml")
    check_paths(parse_recipe(TEXT, ["method.name=scratch"]), tmp_path / "mine.toml")


@pytest.mark.parametrize(
    "text", ["data = 3", "sources = 3", "sources = [3]", "[data]\nroot = 3", "[target]\ncheckpoint = []"]
)
def test_tables_of_a_wrong_kind_are_left_to_the_check_of_their_kind(text: str, recipes: Path) -> None:
    (recipes / "mine.toml").write_text(text)
    with pytest.raises(Exception, match="is not a valid recipe"):
        load_recipe("recipes/mine.toml")


def test_the_root_that_a_recipe_leaves_out_is_found_beside_it_too(recipes: Path) -> None:
    (recipes / "mine.toml").write_text(SCRATCH.replace('"digits"', '"imagefolder"'))
    (recipes / "data").mkdir()
    assert load_recipe("recipes/mine.toml").data.root == "recipes/data"


def test_a_place_that_was_not_searched_is_not_named(recipes: Path) -> None:
    (recipes / "other").mkdir()
    with pytest.raises(DataError) as caught:
        check_paths(load_recipe("recipes/mine.toml", ["data.root=other"]), Path("recipes/mine.toml"))
    assert f"'{recipes}'" not in str(caught.value)


def test_a_run_that_goes_on_is_not_told_to_take_another_path(recipes: Path) -> None:
    with pytest.raises(DataError, match="Put it back there") as caught:
        check_paths(load_recipe("recipes/mine.toml"), None, resumed=True)
    assert "--set" not in str(caught.value) and f"'{recipes}'" not in str(caught.value)

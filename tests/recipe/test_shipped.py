from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.shipped import find_recipe, head_of, recipes_folder, shipped_recipes


@pytest.mark.parametrize("given", ["flowers", "flowers.toml", "recipes/flowers", "recipes/flowers.toml"])
def test_a_shipped_recipe_is_found_from_anywhere(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert find_recipe(given) == recipes_folder() / "flowers.toml"


def test_a_file_of_ones_own_goes_before_a_shipped_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.toml").write_text("")

    assert find_recipe("flowers.toml") == Path("flowers.toml")


@pytest.mark.parametrize("given", ["elsewhere/flowers", "flower", ""])
def test_a_name_that_is_not_shipped_is_an_error(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(RecipeError, match=r"does not exist, and no shipped recipe has that name"):
        find_recipe(given)


def test_a_folder_is_not_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="It is a folder"):
        find_recipe(str(tmp_path))


def test_shipped_recipes_are_sorted_by_name() -> None:
    assert list(shipped_recipes()) == sorted(shipped_recipes())
    assert {"flowers", "quickstart"} <= set(shipped_recipes())


def test_the_head_of_a_recipe_is_its_first_comment() -> None:
    assert head_of("# one\n#\n#  two\nname = 3\n# later\n") == ["one", "", "two"]
    assert head_of("name = 3\n# later\n") == []

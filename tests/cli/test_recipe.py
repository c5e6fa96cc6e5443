"""Looking at recipes without training."""

from __future__ import annotations

import json
from pathlib import Path

from sskt_edge.recipe.shipped import shipped_recipes
from tests.cli.run import sskt_edge


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

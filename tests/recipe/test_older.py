from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.load import parse_recipe, parse_run_recipe
from sskt_edge.targets.finished_run import read_finished
from tests.recipe.small import TEXT

OLDER = Path(__file__).parent.parent / "older"


def test_a_runs_recipe_of_before_is_read_as_todays() -> None:
    then = '[sskt]\nmethod = "sskt"\nuse = ["imagenet"]\ntransfer_module = true\nalpha = 1.0\n'
    now = '[method]\nname = "sskt"\nsources = ["imagenet"]\ntransfer_module = true\nalpha = 1.0\n'

    assert parse_run_recipe(TEXT + then) == parse_recipe(TEXT + now)


def test_of_a_run_from_scratch_the_other_methods_options_are_left_out() -> None:
    then = parse_run_recipe(f'{TEXT}[sskt]\nmethod = "scratch"\nalpha = 1.0\n')

    assert then.method.model_dump() == {"name": "scratch"}


@pytest.mark.parametrize("version", ["run_version1.zip", "run_version2.zip"])
def test_runs_that_older_versions_wrote_are_read(version: str, tmp_path: Path) -> None:
    zipfile.ZipFile(OLDER / version).extractall(tmp_path)

    run = read_finished(tmp_path)

    assert run.recipe.method.name == "scratch"
    assert run.golden().logits.shape == (20, 10)


def test_an_author_of_an_old_recipe_is_told_what_to_write() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(f'{TEXT}[sskt]\nuse = ["imagenet"]\nalpha = 1.0\n')

    told = str(caught.value)
    table = told[told.index("[method]\n") :].replace("    ", "")
    assert parse_recipe(f"{TEXT}{table}").method.taking_part == ("imagenet",)

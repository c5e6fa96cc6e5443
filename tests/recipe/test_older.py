"""Recipes of older versions: a run's is read, an author's is answered with what to write."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.load import parse_recipe, parse_run_recipe, run_recipe
from sskt_edge.recipe.older import from_older
from sskt_edge.targets.finished_run import read_finished
from tests.recipe.small import TEXT, fault

OLDER = Path(__file__).parents[1] / "older"
SEE = '\n[labels]\nsee = "upsampled"\n'


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


@pytest.mark.parametrize("run", ["run_version1.zip", "run_version2.zip"])
def test_the_recipe_of_a_run_of_an_older_version_is_read(run: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(OLDER / run) as file:
        file.extract("recipe.toml", tmp_path)

    recipe = run_recipe(tmp_path / "recipe.toml", ["export.golden=7"])

    assert (recipe.target.model, recipe.labels.views, recipe.export.golden) == ("resnet20", 16, 7)


def test_a_runs_sources_keep_the_view_that_was_one_for_all(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TEXT + SEE)

    recipe = run_recipe(tmp_path / "recipe.toml")

    assert [source.view for source in recipe.sources] == ["upsampled", "upsampled"]


def test_tables_of_today_and_what_is_no_table_stay_as_they_are() -> None:
    for tree in ({"labels": {"views": 2}, "sources": [{"view": "native"}]}, {"labels": 3, "sources": "x"}, {}):
        assert from_older(tree) == tree


def test_an_author_is_told_where_the_view_stands_now() -> None:
    for said in (fault(TEXT + SEE), fault(TEXT, "labels.see=upsampled")):
        assert 'write view = "upsampled" in each [[sources]]' in said
        assert "--set sources.NAME.view=" in said


def test_limits_of_parity_are_read_by_older_names_with_a_message() -> None:
    then = from_older({"export": {"golden": 7, "parity": {"int8_top1_agreement": 0.9, "int8_accuracy_drop": 0.02}}})

    assert then["export"] == {"golden": 7, "parity": {"int8_agreement": 0.9, "int8_metric_drop": 0.02}}
    assert "called export.parity.fp16_agreement" in fault(TEXT, "export.parity.fp16_top1_agreement=0.9")

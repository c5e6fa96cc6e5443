from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.errors import RecipeError, StudyError
from sskt_edge.recipe import load_recipe, recipe_sha256
from sskt_edge.recipe.shipped import shipped_recipes
from sskt_edge.study.base import check_seeds, refuse_seed, study_folder, with_overrides, with_train


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_recipe_with_nothing_laid_over_it_is_itself(name: str) -> None:
    recipe = load_recipe(name)
    assert with_overrides(recipe, [], "x") == recipe


def test_defaults_follow_what_is_laid_over() -> None:
    """The digits' own size is 32, STL10's is 96: a size that the author left open is still open."""
    recipe = load_recipe("quickstart", ["sources.0.weights='X'", "data={name='mnist5k'}", "train.optimizer={lr=0.05}"])
    assert recipe.data.image_size == 32
    changes = ["train.optimizer.name=adamw", "train.schedule={name='steps',milestones=[2]}", "method.name=scratch"]
    changed = with_overrides(recipe, [*changes, "data.name=stl10"], "x")
    assert changed.train.optimizer.name == "adamw" and changed.train.schedule.name == "steps"
    assert changed.data.image_size == 96
    assert changed.method.name == "scratch"
    assert changed.sources == recipe.sources


def test_what_does_not_fit_names_whose_it_is() -> None:
    with pytest.raises(
        RecipeError, match=r"'arm T3' is not a valid recipe:\n.*method\.temprature.*Nearest: 'temperature'"
    ):
        with_overrides(load_recipe("quickstart"), ["method.temprature=3"], "arm T3")


def test_a_seed_of_its_own_is_refused() -> None:
    refuse_seed(["train.seeds=1", "data.view_seed=2"], "--set")
    with pytest.raises(StudyError, match=r"--set train\.seed=3: a study sets the seeds itself\. Use --seeds N"):
        refuse_seed(["method.alpha=1", "train.seed=3"], "--set")


def test_a_study_is_a_recipe_whatever_its_seed() -> None:
    recipe = load_recipe("quickstart")
    place = study_folder(recipe, Path("studies"))
    assert place == study_folder(with_train(recipe, seed=3), Path("studies"))
    assert place != study_folder(with_train(recipe, epochs=3), Path("studies"))
    assert place.parent == Path("studies")
    assert place.name == f"quickstart-{recipe_sha256(recipe)[:12]}"


def test_a_seed_that_no_recipe_takes_is_refused_before_training() -> None:
    check_seeds([0, 2**32 - 1])
    for seed in (-1, 2**32):
        with pytest.raises(StudyError, match=f"Seed {seed}: expected 0 to 4294967295"):
            check_seeds([seed])

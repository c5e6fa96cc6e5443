from __future__ import annotations

from typing import Any

import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.export_options import with_options
from sskt_edge.recipe.load import load_recipe, recipe_sha256
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.shipped import shipped_recipes
from tests.conftest import tiny_recipe


def changed(before: Recipe, after: Recipe) -> dict[str, Any]:
    """Dotted key → new value of what differs."""

    def flat(tree: Any, place: str = "") -> dict[str, Any]:
        if not isinstance(tree, dict):
            return {place: tree}
        return {
            key: value for name, part in tree.items() for key, value in flat(part, f"{place}.{name}".strip(".")).items()
        }

    old, new = flat(before.model_dump()), flat(after.model_dump())
    assert old.keys() == new.keys()
    return {key: value for key, value in new.items() if value != old[key]}


def test_nothing_said_leaves_the_recipe_as_it_is() -> None:
    for name in shipped_recipes():
        recipe = load_recipe(name)
        assert recipe_sha256(with_options(recipe)) == recipe_sha256(recipe)


def test_what_is_said_at_export_is_laid_over_and_nothing_else() -> None:
    recipe = tiny_recipe()
    after = with_options(
        recipe,
        precisions=["fp32", "int8"],
        devices=["tensorrt"],
        overrides=["export.calibration=7", "export.parity.int8_metric_drop=0.5", "data.root=elsewhere"],
    )
    assert changed(recipe, after) == {
        "export.precisions": ("fp32", "int8"),
        "export.devices": ("tensorrt",),
        "export.calibration": 7,
        "export.parity.int8_metric_drop": 0.5,
        "data.root": "elsewhere",
    }
    assert recipe == tiny_recipe(), "the run's own recipe stays"


def test_a_precision_or_device_list_takes_the_place_of_the_recipes() -> None:
    recipe = tiny_recipe("export.precisions=['fp32', 'fp16']", "export.devices=['cpu']")

    assert with_options(recipe, precisions=["int8"]).export.precisions == ("int8",)
    assert with_options(recipe, precisions=["int8"]).export.devices == ("cpu",)
    assert with_options(recipe, devices=["tensorrt", "cpu"]).export.devices == ("tensorrt", "cpu")
    assert with_options(recipe, precisions=[]).export.precisions == (), "fp32 is always made"


def test_set_goes_over_the_lists() -> None:
    after = with_options(tiny_recipe(), precisions=["fp16"], overrides=["export.precisions=['int8']"])
    assert after.export.precisions == ("int8",)


@pytest.mark.parametrize(
    "override",
    [
        "train.epochs=3",
        "data.split_seed=1",
        "data.per_class=7",
        "data.root.x=1",
        "data.rooted=1",
        "target.mean=[0, 0, 0]",
        "name=other",
        "export={ calibration = 3 }",
        "exports.calibration=3",
        " train.epochs =3",
        "=3",
        "export",
        "",
    ],
)
def test_what_the_run_was_trained_with_is_refused(override: str) -> None:
    with pytest.raises(
        RecipeError, match=r"At export only export\.\* \(except export\.golden\) and data\.root can be set"
    ):
        with_options(tiny_recipe(), overrides=[override])


@pytest.mark.parametrize("override", ["export.golden=3", " export.golden = 3"])
def test_the_golden_images_are_those_of_the_training(override: str) -> None:
    with pytest.raises(RecipeError, match=r"golden.*fixed by the training"):
        with_options(tiny_recipe(), overrides=[override])


def test_a_refusal_names_the_setting() -> None:
    with pytest.raises(RecipeError, match=r"--set train\.epochs=3"):
        with_options(tiny_recipe(), overrides=["export.calibration=3", "train.epochs=3"])


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(
        RecipeError, match=r"export\.precisions\.0: unknown value 'int4'.*Known: 'fp32', 'fp16' or 'int8'"
    ):
        with_options(tiny_recipe(), precisions=["int4"])


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"export\.devices\.0: unknown value 'gpu'.*Known: 'cpu' or 'tensorrt'"):
        with_options(tiny_recipe(), devices=["gpu"])


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("export.calibration=0", r"export\.calibration"),
        ("export.calibrations=5", r"export\.calibrations: unknown key\. Nearest: 'calibration'"),
        ("export.parity.fp32_max_abs=1", r"export\.parity\.fp32_max_abs: unknown key"),
        ("export.parity.int8_metric_drop=2", r"export\.parity\.int8_metric_drop"),
        ("export.batch.max=1", r"export\.batch: .*min <= opt <= max"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_key(override: str, what: str) -> None:
    with pytest.raises(RecipeError, match=what):
        with_options(tiny_recipe(), overrides=[override])

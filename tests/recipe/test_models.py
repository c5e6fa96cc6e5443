from __future__ import annotations

import json

import pydantic
import pytest

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.catalogue.methods import METHODS
from sskt_edge.catalogue.targets import TARGETS
from sskt_edge.common.errors import RecipeError
from sskt_edge.methods.sskt.options import SsktOptions
from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import DataOptions, Recipe
from tests.recipe.small import SCRATCH, TEXT


def test_name_data_and_target_are_enough_for_a_recipe_from_scratch() -> None:
    recipe = parse_recipe(SCRATCH)

    assert (recipe.sources, recipe.active_sources) == ((), ())
    assert recipe.train.epochs == 100
    assert (recipe.train.optimizer.name, recipe.train.optimizer.lr, recipe.train.schedule.name) == (
        "sgd",
        0.1,
        "cosine",
    )
    assert recipe.data.augment.model_dump() == {
        "crop_padding": 4,
        "random_resized_crop": None,
        "horizontal_flip": True,
    }
    assert recipe.export.batch.model_dump() == {"min": 1, "opt": 8, "max": 64}


def test_the_method_starts_at_the_best_values_of_flowers() -> None:
    recipe = parse_recipe(TEXT)

    assert isinstance(recipe.method, SsktOptions)
    assert (recipe.method.alpha, recipe.method.temperature, recipe.method.loss) == (3.0, 1.0, "ce")
    assert not recipe.method.transfer_module
    assert (recipe.labels.views, recipe.sources[0].view) == (16, "native")


@pytest.mark.parametrize("name", list(DATA_SETS))
def test_an_image_size_of_0_is_the_data_sets_own(name: str) -> None:
    given, zero = (
        DataOptions.model_validate({"name": name}),
        DataOptions.model_validate({"name": name, "image_size": 0}),
    )

    assert given.image_size == zero.image_size == DATA_SETS[name].size
    assert DataOptions.model_validate({"name": name, "image_size": 48}).image_size == 48


def test_a_random_resized_crop_takes_the_place_of_padding() -> None:
    augment = parse_recipe(SCRATCH, ["data.augment={random_resized_crop=[0.2, 1.0]}"]).data.augment

    assert (augment.crop_padding, augment.random_resized_crop) == (0, (0.2, 1.0))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ["imagenet", "places365"]),
        (['method.sources=["places365"]'], ["places365"]),
        (['method.sources=["places365", "imagenet"]'], ["imagenet", "places365"]),
        (["method.name=scratch"], []),
    ],
)
def test_the_sources_that_take_part_come_in_the_recipes_order(overrides: list[str], expected: list[str]) -> None:
    assert [source.name for source in parse_recipe(TEXT, overrides).active_sources] == expected


def test_a_recipe_cannot_be_changed() -> None:
    recipe = parse_recipe(TEXT)

    with pytest.raises(pydantic.ValidationError):
        recipe.train.epochs = 3  # type: ignore[misc]


def test_the_schema_is_json_that_describes_every_key() -> None:
    schema = json.loads(json.dumps(Recipe.model_json_schema()))

    assert schema["type"] == "object"
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert set(schema["required"]) == {"name", "data", "target"}
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["TargetOptions"]["properties"]["model"]["enum"] == list(TARGETS)
    methods = [option["properties"]["name"]["const"] for option in schema["properties"]["method"]["anyOf"]]
    assert methods == list(METHODS)
    references = {part["$ref"] for part in find(schema, "$ref")}
    assert references and all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in references)


def find(tree: object, key: str) -> list[dict[str, str]]:
    """Every object in a tree that has a key."""
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    below = [found for child in children for found in find(child, key)]
    return [tree, *below] if isinstance(tree, dict) and key in tree else below


@pytest.mark.parametrize(("validation", "expected"), [("rest", "rest"), ("0.25", 0.25), ("0", 0.0)])
def test_validation_is_a_share_or_the_rest_and_either_can_choose(validation: str, expected: float | str) -> None:
    given = [f"data.validation={validation}", "data.per_class=5"]
    data = parse_recipe(SCRATCH, given).data

    assert data.validation == expected
    if expected:
        assert parse_recipe(SCRATCH, [*given, "train.keep=best"]).train.keep == "best"


@pytest.mark.parametrize("value", ["most", "1.0", "-0.1"])
def test_another_validation_is_refused_in_one_sentence(value: str) -> None:
    with pytest.raises(RecipeError, match=r":\n  data.validation: a share .*, or 'rest', got .*\.$"):
        parse_recipe(SCRATCH, [f"data.validation={value}"])


@pytest.mark.parametrize("key", ["validation", "unlabelled"])
def test_the_rest_needs_a_budget(key: str) -> None:
    with pytest.raises(RecipeError, match=f"data: {key} = 'rest' needs a budget, per_class > 0"):
        parse_recipe(SCRATCH, [f"data.{key}=rest"])
    assert getattr(parse_recipe(SCRATCH, [f"data.{key}=rest", "data.per_class=5"]).data, key) == "rest"


def test_the_rest_goes_to_one_of_validation_and_unlabelled() -> None:
    rest = ["data.per_class=5", "data.unlabelled=rest"]

    assert parse_recipe(SCRATCH, [*rest, "data.validation=0.2"]).data.unlabelled == "rest"
    with pytest.raises(RecipeError, match="give validation a share"):
        parse_recipe(SCRATCH, [*rest, "data.validation=rest"])


def test_only_stl10_has_unlabelled_images_of_its_own() -> None:
    assert DataOptions(name="stl10", unlabelled="unlabeled").unlabelled == "unlabeled"
    assert DataOptions(name="cifar10", unlabelled="./unlabeled").unlabelled == "./unlabeled"
    with pytest.raises(RecipeError, match=r"STL10's own .*name = 'digits' has none; for a folder .* './unlabeled'"):
        parse_recipe(SCRATCH, ["data.unlabelled=unlabeled"])

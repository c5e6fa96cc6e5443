from __future__ import annotations

import json
from typing import get_args

import pydantic
import pytest

from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import Data, Recipe
from sskt_edge.recipe.names import DATA_SET_SIZES, DataSetName
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


def test_the_method_starts_from_what_helped_small_data() -> None:
    recipe = parse_recipe(TEXT)

    assert (recipe.sskt.alpha, recipe.sskt.temperature, recipe.sskt.loss) == (1.0, 1.0, "ce")
    assert recipe.sskt.transfer_module
    assert (recipe.labels.views, recipe.labels.see) == (16, "native")


@pytest.mark.parametrize("name", get_args(DataSetName))
def test_an_image_size_of_0_is_the_data_sets_own(name: str) -> None:
    given, zero = Data.model_validate({"name": name}), Data.model_validate({"name": name, "image_size": 0})

    assert given.image_size == zero.image_size == DATA_SET_SIZES[name]
    assert Data.model_validate({"name": name, "image_size": 48}).image_size == 48


def test_a_random_resized_crop_takes_the_place_of_padding() -> None:
    augment = parse_recipe(SCRATCH, ["data.augment={random_resized_crop=[0.2, 1.0]}"]).data.augment

    assert (augment.crop_padding, augment.random_resized_crop) == (0, (0.2, 1.0))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ["imagenet", "places365"]),
        (['sskt.use=["places365"]'], ["places365"]),
        (['sskt.use=["places365", "imagenet"]'], ["imagenet", "places365"]),
        (["sskt.method=scratch"], []),
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
    assert schema["$defs"]["Target"]["properties"]["model"]["enum"][0] == "resnet20"
    references = {part["$ref"] for part in find(schema, "$ref")}
    assert references and all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in references)


def find(tree: object, key: str) -> list[dict[str, str]]:
    """Every object in a tree that has a key."""
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    below = [found for child in children for found in find(child, key)]
    return [tree, *below] if isinstance(tree, dict) and key in tree else below

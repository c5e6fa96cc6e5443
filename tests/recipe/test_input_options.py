from __future__ import annotations

import re

import pytest

from sskt_edge.recipe.load import parse_recipe
from sskt_edge.recipe.models import Recipe
from tests.recipe.small import SCRATCH, fault


def test_every_change_is_off_unless_a_recipe_asks_for_it() -> None:
    train = parse_recipe(SCRATCH).train

    assert train.ema == train.mixing.mixup == train.mixing.cutmix == train.input.erasing == 0
    assert not train.input.changes_colours
    assert parse_recipe(SCRATCH, ["train.input.contrast=0.1"]).train.input.changes_colours


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.ema=1", "train.ema: .*less than 1"),
        ("train.ema=-0.1", "train.ema: .*greater than or equal to 0"),
        ("train.input.brightness=1.5", "train.input.brightness: .*less than 1"),
        ("train.input.erasing=2", "train.input.erasing: .*less than or equal to 1"),
        ("train.input.erasing_area=[0.4, 0.2]", "erasing_area: .*smallest <= largest < 1"),
        ("train.input.erasing_area=[0, 0.2]", "erasing_area: .*0 < smallest"),
        ("train.input.colour=0.4", "train.input.colour: unknown key.*saturation"),
        ("train.mixing.mixup=-1", "train.mixing.mixup: .*greater than or equal to 0"),
        ("train.mixing.cutmix='yes'", "train.mixing.cutmix: .*valid number.*'yes'"),
        ("train.mixing.batches=1.1", "train.mixing.batches: .*less than or equal to 1"),
        ("train.mixing.batches=0", "train.mixing.batches: .*greater than 0"),
        ("train.mixing.mix_up=1", "train.mixing.mix_up: unknown key.*'mixup'"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_its_key(override: str, said: str) -> None:
    text = fault(SCRATCH, override)

    assert re.search(said, text), text
    assert text.count("\n") == 1


def test_the_schema_describes_every_key_of_the_input() -> None:
    models = Recipe.model_json_schema()["$defs"]

    for name in ("InputOptions", "MixingOptions"):
        keys = models[name]["properties"]
        assert models[name]["additionalProperties"] is False and models[name]["description"]
        assert all(key["description"] and "default" in key for key in keys.values())
    assert models["TrainOptions"]["properties"]["ema"]["exclusiveMaximum"] == 1

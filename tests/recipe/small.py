"""A recipe with two sources, to be changed by a test."""

from __future__ import annotations

import pytest

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.load import parse_recipe

TEXT = """
name = "small"
[data]
name = "digits"
[target]
model = "resnet20"
[[sources]]
name = "imagenet"
model = "torchvision/resnet50"
weights = "IMAGENET1K_V1"
[[sources]]
name = "places365"
model = "torchvision/resnet50"
checkpoint = "places.pth"
"""

SCRATCH = """
name = "scratch"
data = { name = "digits" }
target = { model = "resnet20" }
method = { name = "scratch" }
"""


def fault(text: str, *overrides: str) -> str:
    """What a recipe that is not valid is told."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, overrides, where="small.toml")
    return str(caught.value)

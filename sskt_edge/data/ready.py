"""Check in a second what a recipe reads, before torch is loaded and before anything slow is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.data.readers import open_data
from sskt_edge.recipe.load import load_recipe
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.paths import check_paths
from sskt_edge.recipe.shipped import find_recipe
from sskt_edge.tasks.task import task_named


def load_checked(path_or_name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe, as load_recipe does, and check the files it reads.

    Raises:
        InputError: as load_recipe and check_inputs.
    """
    recipe = load_recipe(path_or_name, overrides)
    check_inputs(recipe, find_recipe(path_or_name))
    return recipe


def check_inputs(recipe: Recipe, recipe_file: Path | None, resumed: bool = False) -> None:
    """Check that the files and folders of a recipe exist, and that its folder of images can be trained on.

    Args:
        recipe: the loaded recipe.
        recipe_file: where it was loaded from; None for the recipe of a run.
        resumed: the recipe belongs to a run that is resumed.

    Raises:
        InputError: something is missing, or the images are not laid out as required. No image is opened.
    """
    check_paths(recipe, recipe_file, resumed)
    if DATA_SETS[recipe.data.name].own_files:
        open_data(recipe.data, task_named(recipe.task.name), fetch=False)

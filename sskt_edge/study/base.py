"""The basis of a study: one recipe without its seed, the folder of that recipe, and recipes derived from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tomli_w

from sskt_edge.common.errors import StudyError
from sskt_edge.recipe.load import parse_recipe, recipe_sha256
from sskt_edge.recipe.models import Recipe


def refuse_seed(changes: Sequence[str], option: str) -> None:
    """Refuse changes that set a seed, since the study sets the seeds of its trainings.

    Raises:
        StudyError: one of `changes`, which `option` gave, sets a seed.
    """
    for change in changes:
        if change.partition("=")[0].strip() == "train.seed":
            raise StudyError(f"{option} {change}: a study sets the seeds itself. Use --seeds N and --first-seed N.")


def check_seeds(seeds: Sequence[int]) -> None:
    """Check that a study's seeds are valid values of train.seed.

    Raises:
        StudyError: one is not.
    """
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise StudyError(f"Seed {seed}: expected 0 to {2**32 - 1}. Use a smaller --first-seed or fewer --seeds.")


def with_overrides(recipe: Recipe, changes: Sequence[str], where: str) -> Recipe:
    """Apply `KEY=VALUE` changes to the recipe as its author wrote it; defaults are filled in after the changes.

    Raises:
        RecipeError: a change is not valid; the message says with `where` whose change it is.
    """
    return parse_recipe(tomli_w.dumps(as_written(recipe)), changes, where)


def as_written(recipe: Recipe) -> dict[str, object]:
    """The recipe's tree with only the keys that its author gave, without the defaults."""
    return recipe.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def with_train(recipe: Recipe, **values: object) -> Recipe:
    """The recipe with other values in [train], such as the seed or the precision."""
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=values)})


def study_sha256(recipe: Recipe) -> str:
    """The hash that identifies a recipe without its seed."""
    return recipe_sha256(with_train(recipe, seed=0))


def study_folder(recipe: Recipe, studies: Path) -> Path:
    """The folder of all studies of a recipe, whatever its seed."""
    return studies / f"{recipe.name}-{study_sha256(recipe)[:12]}"

"""The recipe values that an export may override: how the network is exported, not how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sskt_edge.common.errors import RecipeError
from sskt_edge.recipe.load import apply_overrides
from sskt_edge.recipe.models import Recipe

_TRAINED_WITH = ("export.golden",)  # chosen and recorded when training ended


def with_options(
    recipe: Recipe,
    precisions: Sequence[str] | None = None,
    devices: Sequence[str] | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """The recipe of a run with the options of an export.

    Args:
        recipe: the recipe of the run.
        precisions: replaces export.precisions.
        devices: replaces export.devices.
        overrides: KEY=VALUE, for export.* and data.root.

    Raises:
        RecipeError: the key is another one, or the value is not valid.
    """
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in _TRAINED_WITH or not (key.startswith("export.") or key == "data.root"):
            raise RecipeError(
                f"--set {override}: this value was fixed by the training. At export only export.* (except "
                f"{', '.join(_TRAINED_WITH)}) and data.root can be set."
            )
    tree: dict[str, Any] = recipe.model_dump()
    if precisions is not None:
        tree["export"]["precisions"] = tuple(precisions)
    if devices is not None:
        tree["export"]["devices"] = tuple(devices)
    return apply_overrides(tree, overrides, "the run's recipe")

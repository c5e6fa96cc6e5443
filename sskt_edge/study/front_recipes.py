"""The recipe of each target of a front: what the target starts from, and at which rate it learns."""

from __future__ import annotations

from collections.abc import Sequence

from sskt_edge.common.errors import DownloadError, MissingExtraError, NetworkError
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.recipe.models import Recipe, TargetOptions
from sskt_edge.study.base import with_overrides
from sskt_edge.study.front_result import SizedTarget
from sskt_edge.study.start import bolder_rate, gentler_rate, own_weights, weights_changes


def recipes_of(
    recipe: Recipe, targets: Sequence[SizedTarget], pretrained: bool = False, progress: Progress = QUIET
) -> dict[SizedTarget, Recipe]:
    """Target → the recipe with it.

    The recipe's own network stays as it is. Another network starts from its published weights if the recipe's does, or
    with `pretrained`; weights that cannot be had are replaced by new ones. Where one of the two starts from published
    weights and the other from new ones, the rate of the published ones is a tenth of the other's.

    Args:
        recipe: the recipe.
        targets: the targets.
        pretrained: start from published weights also if the recipe does not.
        progress: is told what each target starts from, if it is not what the recipe says.

    Raises:
        RecipeError: the recipe does not fit a target.
    """
    return {target: _recipe_for(recipe, target, pretrained, progress) for target in targets}


def _recipe_for(recipe: Recipe, target: SizedTarget, pretrained: bool, progress: Progress) -> Recipe:
    changes = [f"target.model={target.model}", f"data.image_size={target.size}"]
    if target.model != recipe.target.model or (pretrained and not own_weights(recipe)):
        wanted = pretrained or own_weights(recipe) is not None
        plain = recipe.model_copy(update={"target": _new(recipe, target.model)})
        started, said = _start(recipe, plain, wanted)
        changes += started
        recipe = plain
        if said:
            progress.say(f"{target.name}: {said}")
    return with_overrides(recipe, changes, f"--targets {target.name}")


def _new(recipe: Recipe, model: str) -> TargetOptions:
    """A target from new weights. The recipe's normalisation is kept, except if it is that of the recipe's weights."""
    if own_weights(recipe):
        return TargetOptions(model=model)
    return TargetOptions(model=model, mean=recipe.target.mean, std=recipe.target.std)


def _start(recipe: Recipe, plain: Recipe, wanted: bool) -> tuple[list[str], str]:
    """The changes for the start and the rate of a target, and what the user is told of them.

    Args:
        recipe: the recipe as it is.
        plain: the recipe with the target, from new weights.
        wanted: whether it shall start from published weights.
    """
    why = ""
    if wanted:
        try:
            changes = weights_changes(plain)
        except (NetworkError, DownloadError, MissingExtraError) as error:
            why = f": {error}"
        else:
            slower = [] if own_weights(recipe) else [gentler_rate(recipe)]
            return [*changes, *slower], f"from pretrained weights, {' '.join(changes[:1] + slower)}"
    faster = [bolder_rate(recipe)] if own_weights(recipe) else []
    return faster, f"from new weights{f', {faster[0]}' if faster else ''}{why}" if wanted else ""

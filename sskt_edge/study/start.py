"""What the target of a study's recipe starts from, and the changes that let it start from published weights."""

from __future__ import annotations

from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.spec import pretrained_weights
from sskt_edge.targets.start import readable_weights

# Published weights are changed by smaller steps than new ones.
_GENTLER = 10


def own_weights(recipe: Recipe) -> str | None:
    """The weights that the recipe itself starts the target from, if any."""
    return recipe.target.weights or recipe.target.checkpoint


def weights_changes(recipe: Recipe) -> list[str]:
    """The changes that start a recipe's target from published weights, with the normalisation that they need.

    They are the first that `readable_weights` finds: they are fetched now rather than hours later.

    Raises:
        NetworkError: the target has no published weights.
        DownloadError: they could not be fetched.
        MissingExtraError: all are in packages that are not installed.
    """
    weights = pretrained_weights(recipe.target.model)
    default = readable_weights(weights)
    own, target = weights.normalisation(default), recipe.target
    other = [] if own == (target.mean, target.std) else [f"target.mean={[*own.mean]}", f"target.std={[*own.std]}"]
    return [f"target.weights={default}", *other]


def new_weights_changes(recipe: Recipe) -> list[str]:
    """The changes that start the target of a recipe for published weights from new ones, at a rate that suits them."""
    return [f'target={{model="{recipe.target.model}"}}', bolder_rate(recipe)]


def gentler_rate(recipe: Recipe) -> str:
    """The change of a recipe for new weights to a rate for published ones: a tenth of its own."""
    return f"train.optimizer.lr={recipe.train.optimizer.lr / _GENTLER:g}"


def bolder_rate(recipe: Recipe) -> str:
    """The change of a recipe for published weights to a rate for new ones: ten times its own."""
    return f"train.optimizer.lr={recipe.train.optimizer.lr * _GENTLER:g}"

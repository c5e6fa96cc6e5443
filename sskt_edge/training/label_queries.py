"""What a training asks its sources: the views that it will meet, and how each source is shown them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sskt_edge.common.errors import RecipeError
from sskt_edge.common.progress import Progress
from sskt_edge.data.batches import joining, unlabelled_passes
from sskt_edge.data.views import ViewPolicy
from sskt_edge.recipe.models import Recipe
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.supply import Sources
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from sskt_edge.training.inputs import Inputs


def sources_of(
    recipe: Recipe, inputs: Inputs, device: torch.device, progress: Progress, between: Callable[[], None]
) -> Sources:
    """The sources of a recipe, with the views that its training wants of them.

    Args:
        recipe: what is trained.
        inputs: its images and sources.
        device: where torch runs.
        progress: shows bars.
        between: called before each batch of a source and while another process is waited for.

    Raises:
        RecipeError: as view_schedules; or labels.store is a file.
    """
    wanted = view_schedules(recipe, inputs)
    see = recipe.labels.see
    queries = [LabelQuery(source, inputs.sides[source.name], see, wanted, device) for source in inputs.sources]
    return Sources(queries, wanted, recipe.labels, recipe.name, recipe.method.label_temperature, progress, between)


def view_schedules(recipe: Recipe, inputs: Inputs) -> tuple[ViewSchedule, ...]:
    """The labelled images' views, and the unlabelled ones' if there are any.

    Raises:
        RecipeError: no unlabelled image would join a batch.
    """
    augment = recipe.data.augment
    policy = ViewPolicy(
        recipe.data.image_size, augment.crop_padding, augment.random_resized_crop, augment.horizontal_flip
    )
    plan = LabelPlan(policy, recipe.data.view_seed, recipe.labels.views, recipe.labels.batch_size)
    labelled = ViewSchedule(inputs.images, plan, recipe.train.epochs)
    if inputs.unlabelled is None:
        return (labelled,)
    ratio = recipe.data.unlabelled_ratio
    per_epoch = sum(joining(len(inputs.images), recipe.train.batch_size, ratio))
    if per_epoch == 0:
        raise RecipeError(
            f"data.unlabelled_ratio = {ratio:g} adds no image to a batch of train.batch_size = "
            f"{recipe.train.batch_size}. Raise one of them, or leave out data.unlabelled."
        )
    passes, last = unlabelled_passes(len(inputs.unlabelled), per_epoch, recipe.train.seed, recipe.train.epochs)
    return labelled, ViewSchedule(inputs.unlabelled, plan, passes, last)

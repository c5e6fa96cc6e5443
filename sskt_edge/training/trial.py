"""A training step on blank images, to find the precision and to measure what a step takes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sskt_edge.methods.learner import Learner
from sskt_edge.recipe.models import Recipe
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.precision import autocast
from sskt_edge.tasks.task import task_named
from sskt_edge.training.learner import blank_item, layout


def trial_step(
    recipe: Recipe, learner: Learner, images: int, classes: int, device: torch.device
) -> Callable[[Precision], None]:
    """A training step on a copy of `learner`, which stays as it is: forward in the given precision, then backward.

    Args:
        recipe: of which the task, the form of an item and the batch are taken.
        learner: on `device`.
        images: how many there are; the batch is not larger.
        classes: of the task.
        device: where it runs.
    """
    loss = _loss(recipe, images, classes, device)

    @functools.cache
    def trial() -> nn.Module:
        return copy.deepcopy(learner)

    def step(precision: Precision) -> None:
        with torch.random.fork_rng(devices=[]):
            with autocast(device, precision):
                value = loss(trial())
            value.backward()  # type: ignore[no-untyped-call]
            trial().zero_grad()

    return step


def _loss(recipe: Recipe, images: int, classes: int, device: torch.device) -> Callable[[nn.Module], Tensor]:
    task, item = task_named(recipe.task.name), blank_item(recipe)
    count = min(recipe.train.batch_size, images)
    blank = torch.zeros(count, *item.shape[1:], device=device)
    blank = blank.contiguous(memory_format=layout(recipe.train, item.dim()))
    labels = torch.from_numpy(task.example(count, classes)).to(device)

    def loss(learner: nn.Module) -> Tensor:
        outputs = learner(blank)
        value = task.loss(outputs.primary, labels)
        for branch in outputs.branches.values():
            value = value + branch.float().square().mean()
        return value

    return loss

"""A training step on blank images, to choose the precision and to measure the time of a step."""

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
    """A training step on a copy of `learner`, which is not changed: forward in the given precision, then backward.

    Args:
        recipe: gives the task, the form of an item and the batch size.
        learner: the learner, on `device`.
        images: the number of training images; the batch is not larger.
        classes: the number of classes.
        device: the device that it runs on.
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

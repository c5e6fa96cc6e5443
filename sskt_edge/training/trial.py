"""A training step on blank images, to choose the precision and to measure the time of a step."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sskt_edge.data.inputs.input import Input
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.methods.learner import Learner
from sskt_edge.recipe.models import TrainOptions
from sskt_edge.recipe.precision import Precision
from sskt_edge.targets.precision import autocast
from sskt_edge.tasks.task import Task
from sskt_edge.training.learner import layout


def blank_batch(kind: Input, pixels: Pixels, images: int, train: TrainOptions, device: torch.device) -> Tensor:
    """A batch of zeros for the target, such as float32 [B,3,S,S], in the training's memory layout.

    Args:
        kind: the kind of the items.
        pixels: the target's preprocessing.
        images: the number of training images; a batch is not larger.
        train: the recipe's [train].
        device: the device of the batch.
    """
    item = pixels(torch.zeros(1, *kind.shape(pixels.size), dtype=torch.uint8))
    batch = torch.zeros(min(train.batch_size, images), *item.shape[1:], device=device)
    return batch.contiguous(memory_format=layout(train, batch.dim()))


def trial_step(learner: Learner, task: Task, blank: Tensor, classes: int) -> Callable[[Precision], None]:
    """A training step on a copy of `learner`, which is not changed: forward in the given precision, then backward.

    Args:
        learner: the learner, on the device of `blank`.
        task: the task that gives the loss.
        blank: a batch from blank_batch.
        classes: the number of classes.
    """
    labels = torch.from_numpy(task.example(len(blank), classes)).to(blank.device)

    @functools.cache
    def trial() -> nn.Module:
        return copy.deepcopy(learner)

    def step(precision: Precision) -> None:
        with torch.random.fork_rng(devices=[]):
            with autocast(blank.device, precision):
                outputs = trial()(blank)
                loss = task.loss(outputs.primary, labels)
                for branch in outputs.branches.values():
                    loss = loss + branch.float().square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            trial().zero_grad()

    return step

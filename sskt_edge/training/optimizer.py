"""Optimizers, and the learning rates that are functions of the step alone: resuming has nothing to restore."""

from __future__ import annotations

import math

import torch
from torch import nn

from sskt_edge.recipe.optimization import AdamW, Cosine, Sgd, Steps


def build_optimizer(optimizer: Sgd | AdamW, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over all parameters, branches included. Equation (4).

    Fused on the CPU: one pass over each parameter. It goes through memory as it lies, so a parameter, its gradient and
    its slots must lie alike: autograd lays out a parameter's gradient as the parameter, and load_state its slots.
    Elsewhere torch decides.
    """
    fused = True if next(network.parameters()).device.type == "cpu" else None
    if isinstance(optimizer, Sgd):
        return torch.optim.SGD(
            network.parameters(),
            lr=optimizer.lr,
            momentum=optimizer.momentum,
            dampening=optimizer.dampening,
            weight_decay=optimizer.weight_decay,
            nesterov=optimizer.nesterov,
            fused=fused,
        )
    return torch.optim.AdamW(
        network.parameters(), lr=optimizer.lr, betas=optimizer.betas, weight_decay=optimizer.weight_decay, fused=fused
    )


def learning_rate(base: float, schedule: Cosine | Steps, epochs: int, steps_per_epoch: int, step: int) -> float:
    """The learning rate of step `step` (0 is the first) of a training of `epochs` epochs."""
    if isinstance(schedule, Steps):
        epoch = step // steps_per_epoch
        return base * schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones)
    total = epochs * steps_per_epoch
    warmup = min(schedule.warmup_epochs * steps_per_epoch, total - 1)
    if step < warmup:
        return base * (step + 1) / warmup
    return base * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))

"""The optimizers over all parameters, including those of the branches. Equation (4)."""

from __future__ import annotations

import torch
from torch import nn

from sskt_edge.catalogue.optimization import OPTIMIZERS
from sskt_edge.recipe.optimization import AdamW, OptimizerOptions, Sgd


def build_optimizer(options: OptimizerOptions, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a recipe names.

    On the CPU it is fused: one pass over each parameter. The pass goes through memory in order, so a parameter, its
    gradient and its optimizer state must have the same layout: autograd ensures this for the gradient, and load_state
    for the optimizer state. On other devices torch decides.
    """
    parameters = list(network.parameters())
    fused = True if parameters[0].device.type == "cpu" else None
    optimizer: torch.optim.Optimizer = OPTIMIZERS[options.name].load()(options, parameters, fused)
    return optimizer


def sgd(options: Sgd, parameters: list[nn.Parameter], fused: bool | None) -> torch.optim.SGD:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        parameters,
        lr=options.lr,
        momentum=options.momentum,
        dampening=options.dampening,
        weight_decay=options.weight_decay,
        nesterov=options.nesterov,
        fused=fused,
    )


def adamw(options: AdamW, parameters: list[nn.Parameter], fused: bool | None) -> torch.optim.AdamW:
    """Adam with decoupled weight decay."""
    return torch.optim.AdamW(
        parameters, lr=options.lr, betas=options.betas, weight_decay=options.weight_decay, fused=fused
    )

"""The optimizers, over all parameters, those of branches included. Equation (4)."""

from __future__ import annotations

import torch
from torch import nn

from sskt_edge.catalogue.optimization import OPTIMIZERS
from sskt_edge.recipe.optimization import AdamW, OptimizerOptions, Sgd


def build_optimizer(options: OptimizerOptions, network: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that a recipe names.

    Fused on the CPU: one pass over each parameter. It goes through memory as it lies, so a parameter, its gradient and
    its slots must lie alike: autograd lays out a parameter's gradient as the parameter, and load_state its slots.
    Elsewhere torch decides.
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

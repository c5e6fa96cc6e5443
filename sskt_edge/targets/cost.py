"""The cost of a network, counted rather than timed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sskt_edge.targets.finished_run import NetworkCost


def network_cost(network: nn.Module, item: Tensor) -> NetworkCost:
    """Count the parameters of `network` and its multiply-accumulates for one item, such as [1,3,S,S]."""
    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(item.to(device))
    network.train(training)
    return NetworkCost(parameters=sum(p.numel() for p in network.parameters()), macs=counter.get_total_flops() // 2)

"""What a network takes: counted, not timed."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sskt_edge.targets.finished_run import NetworkCost


def network_cost(network: nn.Module, image_size: int) -> NetworkCost:
    """Count `network`'s parameters, and its multiply-accumulates for one [1,3,image_size,image_size]."""
    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, image_size, image_size, device=device))
    network.train(training)
    return NetworkCost(parameters=sum(p.numel() for p in network.parameters()), macs=counter.get_total_flops() // 2)

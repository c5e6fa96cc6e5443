"""The network that a recipe trains: its target with a branch for every source."""

from __future__ import annotations

import torch

from sskt_edge.methods.sskt.network import BranchedTarget
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets.build import build_target
from sskt_edge.targets.registry import TARGETS
from sskt_edge.training.inputs import Inputs
from sskt_edge.training.loop import layout


def branched_target(recipe: Recipe, inputs: Inputs, device: torch.device) -> BranchedTarget:
    """The target, and its branches, both initialised from the recipe's seed, on the device in the recipe's layout."""
    primary = build_target(recipe.target, len(inputs.reader.classes), recipe.train.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        network = BranchedTarget(
            primary,
            TARGETS[recipe.target.model],
            {source.name: source.classes for source in inputs.sources},
            recipe.sskt.transfer_module,
            recipe.sskt.combine,
        )
    network.to(device=device, memory_format=layout(recipe.train))  # type: ignore[call-overload]
    return network

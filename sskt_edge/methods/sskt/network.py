"""The target with its branches, and the way back to the target alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sskt_edge.methods.sskt.folding import Stage
from sskt_edge.methods.sskt.transfer import Combine, LinearBranch, TransferModule
from sskt_edge.targets.registry import TargetSpec


class BranchedTarget(nn.Module):
    """h_t of the paper: the primary network, untouched, and one branch a source on what passes through its stages.

    The branches hang on from outside (forward hooks for the length of one forward pass), so that to strip them is to
    take `.primary`.
    """

    def __init__(
        self,
        primary: nn.Module,
        spec: TargetSpec,
        sources: Mapping[str, int],
        transfer_module: bool = True,
        combine: Combine = "mean",
    ) -> None:
        """Hang a branch on `primary` for every source (name → number of its classes)."""
        super().__init__()
        self.primary = primary
        self._spec = spec
        features = _input_features(primary.get_submodule(spec.last_layer))
        self.sources = tuple(sources)
        self.branches = nn.ModuleList(
            TransferModule(spec.stages, spec.transfer_width, classes, combine)
            if transfer_module
            else LinearBranch(features, classes)
            for classes in sources.values()
        )
        if spec.branches_fan_out:
            for module in self.branches.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """[B,3,S,S] → the primary's logits [B,K], and each branch's logits [B,C] by its source's name."""
        if not self.branches:
            return self.primary(images), {}
        with self._tapped() as (stages, pooled):
            logits = self.primary(images)
        return logits, {
            name: branch(stages, pooled[0]) for name, branch in zip(self.sources, self.branches, strict=True)
        }

    @contextmanager
    def _tapped(self) -> Iterator[tuple[dict[str, Stage], list[Tensor]]]:
        """Collect the stages' outputs and the head's input while the primary runs."""
        stages: dict[str, Stage] = {}
        pooled: list[Tensor] = []

        def keep_stage(name: str) -> Any:
            def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
                stages[name] = Stage(output)

            return keep

        def keep_pooled(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            pooled.append(inputs[0])

        handles = [
            self.primary.get_submodule(path).register_forward_hook(keep_stage(path)) for path in self._spec.stages
        ]
        handles.append(self.primary.get_submodule(self._spec.head).register_forward_pre_hook(keep_pooled))
        try:
            yield stages, pooled
        finally:
            for handle in handles:
                handle.remove()


class Cost(NamedTuple):
    """What a network takes: its parameters, and the multiply-accumulates of one image."""

    parameters: int
    macs: int


def cost(network: nn.Module, image_size: int) -> Cost:
    """Count `network`'s parameters, and its multiply-accumulates for one [1,3,image_size,image_size]."""
    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, image_size, image_size, device=device))
    network.train(training)
    return Cost(sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2)


def strip(branched: BranchedTarget) -> nn.Module:
    """The primary network alone: the same module that was trained, with nothing of the branches left."""
    return branched.primary


def _input_features(last_layer: nn.Module) -> int:
    if not isinstance(last_layer, nn.Linear):
        raise TypeError(f"a target's last layer must be linear, got {type(last_layer).__name__}")
    return last_layer.in_features

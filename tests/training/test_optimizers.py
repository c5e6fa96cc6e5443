"""A step of each optimizer, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sskt_edge.recipe.optimization import AdamW, Sgd
from sskt_edge.targets.spec import target_spec
from sskt_edge.training.optimizers import build_optimizer
from tests.methods.sskt.learners import learner_of


def test_sgd_moves_by_equation_4_with_momentum_and_decay() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = build_optimizer(Sgd(lr=0.1, momentum=0.9, weight_decay=0.5), layer)
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.ones(1, 1)).backward()
        optimizer.step()
    # g = 1 + 0.5·2 = 2; w = 2 - 0.1·2 = 1.8; g = 1 + 0.5·1.8 = 1.9; v = 0.9·2 + 1.9 = 3.7; w = 1.8 - 0.37
    assert layer.weight.item() == pytest.approx(1.43)


def test_dampening_holds_back_every_gradient_but_the_first() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = build_optimizer(Sgd(lr=0.1, momentum=0.9, dampening=0.75, weight_decay=0), layer)
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.ones(1, 1)).backward()
        optimizer.step()
    # v = 1; w = 2 - 0.1·1 = 1.9; v = 0.9·1 + (1 - 0.75)·1 = 1.15; w = 1.9 - 0.115
    assert layer.weight.item() == pytest.approx(1.785)


def test_adamw_decays_apart_from_the_gradient() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = build_optimizer(AdamW(name="adamw", lr=0.1, weight_decay=0.5), layer)
    layer(torch.ones(1, 1)).backward()
    optimizer.step()
    # decay: 2·(1 - 0.1·0.5) = 1.9; the first step of Adam is lr: 1.9 - 0.1
    assert layer.weight.item() == pytest.approx(1.8, rel=1e-5)


@pytest.mark.parametrize("transfer_module", [True, False])
@pytest.mark.parametrize("given", [Sgd(lr=0.1, nesterov=True), AdamW(name="adamw", lr=0.1)])
def test_a_step_goes_through_memory_as_parameters_lie(given: Sgd | AdamW, transfer_module: bool) -> None:
    """The fused optimizers of the CPU would mix up a parameter and a gradient of another layout, without a word."""
    made: list[dict[str, torch.Tensor]] = []
    for layout in (torch.contiguous_format, torch.channels_last):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            primary = target_spec("resnet20").build(5)
            network = learner_of(primary, "resnet20", {"a": 7}, transfer_module).double()
            batches = torch.rand(2, 4, 3, 16, 16, dtype=torch.float64)
        network.to(memory_format=layout)
        optimizer = build_optimizer(given, network)
        for batch in batches:
            outputs = network(batch.contiguous(memory_format=layout))
            optimizer.zero_grad()
            torch.autograd.backward(outputs.primary.sin().sum() + outputs.branches["a"].sin().sum())
            optimizer.step()
        made.append(network.state_dict())

    for name, value in made[0].items():
        torch.testing.assert_close(made[1][name], value, rtol=1e-5, atol=1e-7, msg=name)

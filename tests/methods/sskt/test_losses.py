"""Equations (1), (2), (3) and (5), with the numbers worked out from logits that are logarithms of small integers."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from sskt_edge.methods.sskt.losses import Reduction, auxiliary_loss, distillation, soft_cross_entropy
from sskt_edge.methods.sskt.options import SsktOptions

LN2, LN3, LN5 = math.log(2), math.log(3), math.log(5)

# softmax(source) = (3/4, 1/4), softmax(branch) = (1/3, 2/3); and a second image: (1/2, 1/2), (1/2, 1/2).
SOURCE = torch.tensor([[LN3, 0.0], [7.0, 7.0]])
BRANCH = torch.tensor([[0.0, LN2], [-1.0, -1.0]])
CROSS_ENTROPIES = [3 / 4 * LN3 + 1 / 4 * math.log(3 / 2), LN2]
DIVERGENCES = [3 / 4 * math.log((3 / 4) / (1 / 3)) + 1 / 4 * math.log((1 / 4) / (2 / 3)), 0.0]


def test_soft_cross_entropy_is_equation_2_averaged_over_the_batch() -> None:
    expected = (CROSS_ENTROPIES[0] + CROSS_ENTROPIES[1]) / 2

    assert soft_cross_entropy(BRANCH, SOURCE, 1.0).item() == pytest.approx(expected, rel=1e-6)


def test_distillation_is_equation_3_averaged_over_the_batch() -> None:
    expected = (DIVERGENCES[0] + DIVERGENCES[1]) / 2

    assert distillation(BRANCH, SOURCE, 1.0, "batchmean").item() == pytest.approx(expected, rel=1e-6)


def test_kd_reduction_mean_divides_by_the_classes_too() -> None:
    source, branch = torch.tensor([[LN3, 0.0, 0.0]]), torch.tensor([[0.0, LN2, 0.0]])
    # softmax(source) = (3, 1, 1) / 5, softmax(branch) = (1, 2, 1) / 4.
    divergence = 3 / 5 * math.log((3 / 5) / (1 / 4)) + 1 / 5 * math.log((1 / 5) / (2 / 4))
    divergence += 1 / 5 * math.log((1 / 5) / (1 / 4))

    assert distillation(branch, source, 1.0, "batchmean").item() == pytest.approx(divergence, rel=1e-6)
    assert distillation(branch, source, 1.0, "mean").item() == pytest.approx(divergence / 3, rel=1e-6)


@pytest.mark.parametrize(("kind", "one"), [("ce", CROSS_ENTROPIES), ("kd", DIVERGENCES)])
def test_a_temperature_divides_the_logits_and_its_square_weighs_the_loss(
    kind: Literal["ce", "kd"], one: list[float]
) -> None:
    options = SsktOptions(loss=kind, temperature=3.0)
    expected = 9 * (one[0] + one[1]) / 2

    # Logits three times as large, at T = 3, give the same distributions as before.
    assert auxiliary_loss(options, 3 * BRANCH, 3 * SOURCE).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_cross_entropy_and_distillation_have_the_same_gradient(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(4, 7, generator=generator)
    logits = torch.randn(4, 7, generator=generator)

    def gradient(loss: Tensor, at: Tensor) -> Tensor:
        return torch.autograd.grad(loss, at)[0]

    ce_at, kd_at, mean_at = (logits.clone().requires_grad_() for _ in range(3))
    of_ce = gradient(soft_cross_entropy(ce_at, source, temperature), ce_at)
    of_kd = gradient(distillation(kd_at, source, temperature, "batchmean"), kd_at)
    of_mean = gradient(distillation(mean_at, source, temperature, "mean"), mean_at)

    torch.testing.assert_close(of_ce, of_kd, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(of_mean, of_kd / 7, rtol=1e-5, atol=1e-7)
    # By hand: T²·(1/B)·(softmax(branch/T) - softmax(source/T))/T.
    by_hand = temperature * (torch.softmax(logits / temperature, 1) - torch.softmax(source / temperature, 1)) / 4
    torch.testing.assert_close(of_ce, by_hand, rtol=1e-5, atol=1e-7)


def test_cross_entropy_and_distillation_differ_by_the_entropy() -> None:
    entropy = (-(3 / 4) * math.log(3 / 4) - 1 / 4 * math.log(1 / 4) + LN2) / 2
    apart = soft_cross_entropy(BRANCH, SOURCE, 1.0) - distillation(BRANCH, SOURCE, 1.0, "batchmean")

    assert apart.item() == pytest.approx(entropy, rel=1e-6)


def test_a_branch_that_says_what_its_source_says_has_no_divergence() -> None:
    assert distillation(SOURCE + 3.0, SOURCE, 2.0, "batchmean").item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("reduction", ["batchmean", "mean"])
def test_distillation_stays_finite_where_a_probability_vanishes(reduction: Reduction) -> None:
    source, branch = torch.tensor([[500.0, -500.0]]), torch.tensor([[-500.0, 500.0]])

    assert math.isfinite(distillation(branch, source, 1.0, reduction).item())

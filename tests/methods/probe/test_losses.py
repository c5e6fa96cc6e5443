"""The losses that tell how far a target is from its probe."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sskt_edge.common.errors import RecipeError
from sskt_edge.methods.probe.learner import confidence
from sskt_edge.methods.probe.losses.correlation import correlation
from sskt_edge.methods.probe.losses.decoupled import OTHER_CLASSES, TARGET_CLASS, decoupled
from sskt_edge.methods.probe.losses.standardised import standardised
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.recipe import parse_recipe
from tests.methods.probe.test_learner import IMAGES, LABELS, SOFT, TASK, learner_of
from tests.recipe.small import TEXT

LOSSES: list[Callable[[Tensor, Tensor, float], Tensor]] = [decoupled, correlation, standardised]
OURS = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
THEIRS = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_answers_are_at_no_distance_and_others_are(loss: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    assert loss(THEIRS, THEIRS + 3.0, 2.0).abs().max() < 1e-5  # no softmax depends on a constant
    assert loss(OURS, THEIRS, 2.0).mean() > 0.05


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_for_answers_of_any_size(loss: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    for logits in (OURS, 100 * OURS, torch.zeros_like(OURS)):
        ours = logits.clone().requires_grad_()
        loss(ours, 50 * THEIRS, 1.0).mean().backward()  # type: ignore[no-untyped-call]
        assert ours.grad is not None and ours.grad.isfinite().all()


def test_with_equal_weights_the_decoupled_parts_add_up_to_kl() -> None:
    """Zhao et al., equation (5): KL = TCKD + (1 - p_t) · NCKD, where p_t is the teacher's share of its class."""
    ours, theirs = torch.softmax(OURS, dim=1), torch.softmax(THEIRS, dim=1)
    kl = (theirs * (theirs.log() - ours.log())).sum(dim=1)
    first = theirs.argmax(dim=1, keepdim=True)
    ours_first, theirs_first = ours.gather(1, first)[:, 0], theirs.gather(1, first)[:, 0]
    pair = theirs_first * (theirs_first / ours_first).log()
    pair = pair + (1 - theirs_first) * ((1 - theirs_first) / (1 - ours_first)).log()
    others = (decoupled(OURS, THEIRS, 1.0) - TARGET_CLASS * pair) / OTHER_CLASSES
    torch.testing.assert_close(kl, pair + (1 - theirs_first) * others)


def test_correlation_is_blind_to_the_scale_of_probabilities() -> None:
    rows = torch.softmax(THEIRS, dim=1)
    closer = (0.5 * rows + 0.5 * rows.mean(dim=1, keepdim=True)).log()
    assert correlation(closer, THEIRS, 1.0) < 0.5 * correlation(OURS, THEIRS, 1.0)


def test_standardised_logits_are_free_in_their_size() -> None:
    torch.testing.assert_close(standardised(OURS, 9 * THEIRS, 2.0), standardised(4 * OURS, THEIRS, 2.0))


def test_the_option_chooses_the_loss() -> None:
    found = {}
    for loss in ("kl", "dkd", "dist", "standardised"):
        learner = learner_of(loss=loss)
        found[loss] = learner.losses(learner(IMAGES), LABELS, SOFT, TASK)["probe"].item()
    assert len(set(found.values())) == 4


def test_unlabelled_images_count_by_how_sure_the_probe_is() -> None:
    probe = torch.tensor([[0.0, 0.0], [0.0, 0.0], [20.0, 0.0], [1.0, 0.0]])
    weights = confidence(probe, labelled=1)
    assert weights[:3].tolist() == pytest.approx([1.0, 0.0, 1.0], abs=1e-5)
    assert 0.1 < weights[3] < 0.3


def test_a_loss_of_the_whole_batch_cannot_weigh_its_images() -> None:
    with pytest.raises(RecipeError, match="its images cannot be weighted"):
        parse_recipe(TEXT + '[method]\nname = "probe"\nloss = "dist"\nweighting = "confidence"\n')


@pytest.mark.parametrize(("key", "value"), [("loss", "dkd"), ("weighting", "confidence")])
def test_what_is_for_one_class_per_image_is_refused_for_several(key: str, value: str) -> None:
    text = TEXT.replace('name = "digits"', 'name = "table"\nroot = "t.csv"\nimage_size = 32') + (
        f'[task]\nname = "multi_label"\n[method]\nname = "probe"\n{key} = "{value}"\n'
    )
    with pytest.raises(RecipeError, match=rf"method.{key} = '{value}' is for one class per image"):
        parse_recipe(text)
    assert parse_recipe(text.replace(f'{key} = "{value}"', "")).method == ProbeOptions()

from __future__ import annotations

import pytest
import torch

from sskt_edge.methods.learner import TaughtBy
from sskt_edge.methods.probe.learner import ProbeLearner
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.methods.sskt.options import BranchOptions
from sskt_edge.targets.spec import target_spec
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.training.loop import BatchLoss

SOURCES = {"imagenet": TaughtBy(7), "places": TaughtBy(4, alpha=0.25)}
TASK = BatchLoss(SINGLE_LABEL)
IMAGES, LABELS = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
SOFT = {
    "probe": torch.randn(6, 3, generator=torch.Generator().manual_seed(1)),
    "imagenet": torch.randn(6, 7, generator=torch.Generator().manual_seed(2)),
    "places": torch.randn(6, 4, generator=torch.Generator().manual_seed(3)),
}


def learner_of(**options: object) -> ProbeLearner:
    torch.manual_seed(0)
    spec = target_spec("resnet20")
    return ProbeLearner(ProbeOptions.model_validate(options), spec.build(3), spec, SOURCES).eval()


def test_the_total_is_the_tasks_loss_and_the_weighted_divergence() -> None:
    learner = learner_of(alpha=0.5, temperature=3.0)
    outputs = learner(IMAGES)
    terms = learner.losses(outputs, LABELS, {"probe": SOFT["probe"]}, TASK)
    ours, theirs = (torch.softmax(logits / 3.0, dim=1) for logits in (outputs.primary, SOFT["probe"]))
    divergence = 9.0 * (theirs * (theirs.log() - ours.log())).sum(dim=1).mean()
    assert terms.keys() == {"primary", "probe", "total"}
    assert terms["probe"].item() == pytest.approx(divergence.item(), rel=1e-5)
    assert terms["total"].item() == pytest.approx((terms["primary"] + 0.5 * terms["probe"]).item(), rel=1e-6)
    assert terms["primary"].item() == pytest.approx(SINGLE_LABEL.loss(outputs.primary[:4], LABELS).item())


def test_unlabelled_images_teach_the_primary_path() -> None:
    learner = learner_of()
    images = IMAGES.clone()
    images.requires_grad_()
    learner.losses(learner(images), LABELS, SOFT, TASK)["total"].backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None and (images.grad[4:].abs().sum(dim=(1, 2, 3)) > 0).all()


def test_nothing_is_attached_without_branches() -> None:
    learner = learner_of()
    assert learner.weights == {"probe": 1.0}
    assert len(list(learner.parameters())) == len(list(learner.primary.parameters()))
    assert learner.strip() is learner.primary


def test_branches_stand_beside_the_probe_with_weights_of_their_own() -> None:
    learner = learner_of(branches={"alpha": 2.0, "loss": "kd"})
    assert learner.weights == {"probe": 1.0, "imagenet": 2.0, "places": 0.25}
    terms = learner.losses(learner(IMAGES), LABELS, SOFT, TASK)
    parts = terms["primary"] + terms["probe"] + 2.0 * terms["imagenet"] + 0.25 * terms["places"]
    assert terms["total"].item() == pytest.approx(parts.item(), rel=1e-6)
    assert len(list(learner.strip().parameters())) < len(list(learner.parameters()))


def test_a_target_that_answers_as_the_probe_has_nothing_to_learn_from_it() -> None:
    learner = learner_of()
    outputs = learner(IMAGES)
    terms = learner.losses(outputs, LABELS, {"probe": outputs.primary.detach()}, TASK)
    assert abs(terms["probe"].item()) < 1e-6


def test_the_options_say_which_labels_are_read() -> None:
    assert ProbeOptions.fits_probe and not ProbeOptions().reads_logits
    assert ProbeOptions(branches=BranchOptions()).reads_logits

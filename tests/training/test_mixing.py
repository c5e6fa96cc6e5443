"""Mixup and CutMix: what is shown, and the losses by both labels, whatever the method and the task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from sskt_edge.methods.learner import Learner, Outputs, TaughtBy
from sskt_edge.methods.probe.learner import ProbeLearner
from sskt_edge.methods.probe.options import ProbeOptions
from sskt_edge.methods.scratch.learner import ScratchLearner
from sskt_edge.recipe.input_options import MixingOptions
from sskt_edge.targets.spec import target_spec
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.training.loop import BatchLoss
from sskt_edge.training.mixing import Mix, Taught, draw_mix, mixed_input, mixed_terms

SIZE, LABELLED, ALL = 16, 5, 9
MIXUP, CUTMIX = MixingOptions(mixup=0.4), MixingOptions(cutmix=1.0)
BOTH = MixingOptions(mixup=0.4, cutmix=1.0)
PARTNERS = np.array([2, 0, 1, 4, 3, 8, 6, 5, 7])
MIX = Mix(0.7, PARTNERS, None)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_labelled_images_mix_with_labelled_ones_and_others_with_others(options: MixingOptions) -> None:
    for step in range(50):
        mix = draw_mix(options, 0, step, LABELLED, ALL, SIZE)
        assert mix is not None and 0 <= mix.share <= 1
        assert sorted(mix.partners[:LABELLED].tolist()) == list(range(LABELLED))
        assert sorted(mix.partners[LABELLED:].tolist()) == list(range(LABELLED, ALL))


def test_a_steps_mix_depends_on_its_seed_and_number_alone() -> None:
    first, again, *others = (draw_mix(BOTH, *key, LABELLED, ALL, SIZE) for key in ((1, 5), (1, 5), (1, 6), (2, 5)))
    assert first is not None and again is not None
    assert first.share == again.share and first.pasted == again.pasted
    np.testing.assert_array_equal(first.partners, again.partners)
    assert all(other is not None and other.share != first.share for other in others)


def test_as_many_batches_are_mixed_and_in_as_many_ways_as_asked() -> None:
    mixes = [draw_mix(BOTH.model_copy(update={"batches": 0.3}), 0, step, 4, 4, SIZE) for step in range(3000)]
    mixed = [mix for mix in mixes if mix is not None]
    assert len(mixed) / 3000 == pytest.approx(0.3, abs=0.03)
    assert np.mean([mix.pasted is None for mix in mixed]) == pytest.approx(0.5, abs=0.06)
    assert draw_mix(MixingOptions(), 0, 0, 4, 4, SIZE) is None


@pytest.mark.parametrize("shape", [(ALL, 3, SIZE, SIZE), (ALL, 3, 4, SIZE, SIZE)], ids=["images", "clips"])
def test_mixup_shows_a_share_of_each_image(shape: tuple[int, ...]) -> None:
    planes = noise(*shape)
    torch.testing.assert_close(mixed_input(planes.clone(), MIX), 0.7 * planes + 0.3 * planes[PARTNERS])
    assert mixed_input(planes, None) is planes


@pytest.mark.parametrize("shape", [(ALL, 3, SIZE, SIZE), (ALL, 3, 4, SIZE, SIZE)], ids=["images", "clips"])
def test_cutmix_shows_the_partner_on_the_rest_of_the_area(shape: tuple[int, ...]) -> None:
    planes = noise(*shape)
    for step in range(40):
        mix = draw_mix(CUTMIX, 0, step, LABELLED, ALL, SIZE)
        assert mix is not None and mix.pasted is not None
        top, bottom, left, right = mix.pasted
        inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        assert mix.share == pytest.approx(1 - inside.double().mean().item())
        shown = mixed_input(planes.clone(), mix)
        assert torch.equal(shown, torch.where(inside, planes[mix.partners], planes))


def mixed(mix: Mix, learner: Learner, outputs: Outputs, taught: Taught, task: BatchLoss) -> Mapping[str, Tensor]:
    """The terms as the loop computes them."""

    def terms_by(one: Taught) -> dict[str, Tensor]:
        own = BatchLoss(task.task, task.class_weights, one.weights)
        return learner.losses(outputs, one.labels, one.soft, own)

    return mixed_terms(mix, taught, terms_by)[0]


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 3.0, 1.0]])
@pytest.mark.parametrize("of_classes", [None, [0.5, 1.0, 2.0]])
def test_the_mixed_loss_is_the_cross_entropy_with_mixed_labels(
    of_classes: list[float] | None, weights: list[float] | None
) -> None:
    logits, labels = noise(ALL, 3), torch.tensor([0, 1, 2, 2, 0])
    image = torch.tensor(weights) if weights else torch.ones(LABELLED)
    of_class = torch.tensor(of_classes) if of_classes else torch.ones(3)
    taught = Taught(labels, {}, torch.tensor(weights) if weights else None)
    task = BatchLoss(SINGLE_LABEL, torch.tensor(of_classes) if of_classes else None)
    found = mixed(MIX, ScratchLearner(torch.nn.Identity(), {}), Outputs(logits), taught, task)

    weighted = torch.eye(3)[labels] * (image * of_class[labels])[:, None]  # each label with its image's weight
    targets = 0.7 * weighted + 0.3 * weighted[PARTNERS[:LABELLED]]
    expected = -(targets * logits[:LABELLED].log_softmax(dim=1)).sum() / weighted.sum()
    torch.testing.assert_close(found["total"], expected)


def test_several_classes_an_image_are_mixed_with_their_weights() -> None:
    logits, labels = noise(ALL, 3), torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [-1, -1, -1]])
    image, positive = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0]), torch.tensor([2.0, 0.5, 1.0])
    task = BatchLoss(MULTI_LABEL, positive)
    taught = Taught(labels.to(torch.int8), {}, image)
    found = mixed(MIX, ScratchLearner(torch.nn.Identity(), {}), Outputs(logits), taught, task)

    def binary(row: int, by: int) -> float:
        """The mean loss of the logits of an image by the labels of another, with that one's weight."""
        has, ours = labels[by], torch.sigmoid(logits[row])
        known = (has >= 0).all()
        each = -(positive * has * ours.log() + (1 - has) * (1 - ours).log())
        return float(image[by] * each.mean()) if known else 0.0

    partners = PARTNERS[:LABELLED].tolist()
    total = sum(0.7 * binary(row, row) + 0.3 * binary(row, by) for row, by in enumerate(partners))
    assert found["total"].item() == pytest.approx(total / 6.5, rel=1e-5)  # the weights of the images with labels


def test_the_soft_labels_of_sources_and_probe_are_mixed_like_the_labels() -> None:
    options = ProbeOptions.model_validate({"temperature": 2.0, "alpha": 0.5, "branches": {"alpha": 3.0}})
    spec = target_spec("resnet20")
    learner = ProbeLearner(options, spec.build(3), spec, {"imagenet": TaughtBy(7)})
    outputs = Outputs(noise(ALL, 3), {"imagenet": noise(ALL, 7, seed=1)})
    soft = {"probe": noise(ALL, 3, seed=2), "imagenet": noise(ALL, 7, seed=3)}
    found = mixed(MIX, learner, outputs, Taught(torch.tensor([0, 1, 2, 2, 0]), soft), BatchLoss(SINGLE_LABEL))

    said = soft["imagenet"].softmax(dim=1)
    targets = 0.7 * said + 0.3 * said[PARTNERS]
    branch = -(targets * outputs.branches["imagenet"].log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(found["imagenet"], branch)

    theirs, ours = (soft["probe"] / 2).softmax(dim=1), (outputs.primary / 2).log_softmax(dim=1)
    by_own, by_partner = ((one * (one.log() - ours)).sum(dim=1).mean() for one in (theirs, theirs[PARTNERS]))
    torch.testing.assert_close(found["probe"], 4 * (0.7 * by_own + 0.3 * by_partner))
    torch.testing.assert_close(found["total"], found["primary"] + 0.5 * found["probe"] + 3 * found["imagenet"])


@pytest.mark.parametrize(("share", "expected"), [(0.7, [0, 1, 2]), (0.2, [1, 2, 0])])
def test_an_image_counts_as_correct_by_the_label_of_its_larger_share(share: float, expected: list[int]) -> None:
    mix = Mix(share, np.array([1, 2, 0]), None)
    _, labels = mixed_terms(mix, Taught(torch.tensor([0, 1, 2]), {}), lambda _: {})
    assert labels.tolist() == expected

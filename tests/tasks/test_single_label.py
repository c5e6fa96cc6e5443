from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.common.errors import DataError
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Task
from sskt_edge.tasks.wilson import wilson_interval

TASK: Task = TASKS["single_label"].load()
LOGITS = np.array([[3, 1, 2], [0, 1, 5], [2, 9, 1], [7, 6, 5]], dtype=np.float32)
LABELS = np.array([0, 1, 1, 2])


def random_batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(64, 10, generator=generator, requires_grad=True),
        torch.randint(10, (64,), generator=generator),
    )


def test_the_entry_gives_the_task() -> None:
    assert TASK is SINGLE_LABEL and (TASK.name, TASK.metric) == ("single_label", "accuracy")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_the_loss_has_the_bits_of_cross_entropy(reduction: str, kind: torch.dtype) -> None:
    for seed in range(5):
        logits, labels = random_batch(seed)
        ours = TASK.loss(logits.to(kind), labels, reduction="mean" if reduction == "mean" else "sum")
        (gradient,) = torch.autograd.grad(ours, logits)
        theirs = F.cross_entropy(logits.to(kind).float(), labels, reduction=reduction)
        (expected,) = torch.autograd.grad(theirs, logits)
        assert ours.detach().numpy().tobytes() == theirs.detach().numpy().tobytes()
        assert gradient.numpy().tobytes() == expected.numpy().tobytes()


def test_an_image_without_a_label_takes_no_part_in_the_loss() -> None:
    logits, labels = random_batch(0)
    labels[::2] = -1
    assert TASK.loss(logits, labels).item() == pytest.approx(TASK.loss(logits[1::2], labels[1::2]).item())


@pytest.mark.parametrize("weighted", [False, True])
def test_an_image_that_counts_twice_is_two_images(weighted: bool) -> None:
    logits, labels = random_batch(0)
    weights = torch.linspace(0.5, 2.0, 10) if weighted else None
    counts = torch.arange(64) % 3 + 1
    repeated = torch.repeat_interleave(torch.arange(64), counts)
    for reduction in ("mean", "sum"):
        ours = TASK.loss(logits, labels, weights, counts.float(), "mean" if reduction == "mean" else "sum")
        theirs = F.cross_entropy(logits[repeated], labels[repeated], weight=weights, reduction=reduction)
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [2] * 11 + [-1] * 5)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels[labels >= 0])
    assert TASK.class_weights(labels, 3) == pytest.approx(expected, rel=1e-6)
    assert TASK.class_weights(labels, 4)[3] == 1


def test_the_figure_of_a_training_is_the_count_of_right_images() -> None:
    assert int(TASK.correct(torch.from_numpy(LOGITS), torch.from_numpy(LABELS))) == 2


def test_scores_and_value_are_the_accuracy_with_wilsons_interval() -> None:
    found = TASK.scores(LOGITS, LABELS, 3)
    assert found.value == TASK.value(LOGITS, LABELS) == 0.5
    assert found.interval == wilson_interval(0.5, 4) and found.further == {}
    six = np.pad(LOGITS, ((0, 0), (0, 3)))
    assert TASK.scores(six, LABELS, 6).further == {"top5": 1.0}


def test_decisions_and_agreement_count_no_image_that_is_not_finite() -> None:
    other = LOGITS.copy()
    other[1, 0], other[3] = np.nan, [1, 2, 3]
    assert TASK.decisions(other).tolist() == [0, -1, 1, 2]
    found = TASK.agreement(LOGITS, other)
    assert (found.images, found.decisions, found.equal, found.flips) == (4, 4, 2, (1, 3))
    assert found.share == 0.5 and found.interval == wilson_interval(0.5, 4)
    assert TASK.agreement(other, other).flips == (1,)


def test_probabilities_are_the_softmax_of_any_logits() -> None:
    large = np.array([[1000.0, 1000.0], [-1000.0, 1000.0]], dtype=np.float32)
    assert TASK.probabilities(large).tolist() == [[0.5, 0.5], [0.0, 1.0]]
    expected = torch.softmax(torch.from_numpy(LOGITS).double(), dim=1).numpy()
    assert TASK.probabilities(LOGITS) == pytest.approx(expected)


def test_the_likeliest_classes_come_first_and_one_is_decided() -> None:
    first, second, _ = TASK.predicted(LOGITS[0], ["cat", "dog", "emu"])
    assert (first.name, second.name) == ("cat", "emu") and (first.is_decided, second.is_decided) == (True, False)
    assert first.probability > second.probability > 0


def test_a_drop_is_paired() -> None:
    after = LOGITS.copy()
    after[0] = [0, 0, 1]
    found = TASK.drop(LOGITS, after, LABELS)
    assert (found.images, found.value) == (4, 0.25) and found.interval[0] < 0.25 < found.interval[1]


def test_labels_of_every_kind_pass_the_check() -> None:
    for labels in (TASK.unknown(5, 3), TASK.example(5, 3), LABELS):
        TASK.check(labels, 3)
    assert not TASK.known(TASK.unknown(5, 3)).any() and TASK.known(LABELS).all()
    assert TASK.class_counts(TASK.example(5, 3), 3).tolist() == [2, 2, 1]


@pytest.mark.parametrize("labels", [np.array([0, 3]), np.array([-2, 0]), np.array([0.0, 1.0]), np.zeros((2, 3), int)])
def test_other_labels_do_not(labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    with pytest.raises(DataError, match=r"[Ll]abels"):
        TASK.check(labels, 3)


def test_the_sampling_error_is_that_of_a_share() -> None:
    drawn = np.random.default_rng(0).binomial(736, 0.67, 4000) / 736
    assert SINGLE_LABEL.sampling_error(0.67, 736) == pytest.approx(0.0173, abs=5e-5)
    assert SINGLE_LABEL.sampling_error(0.67, 736) == pytest.approx(drawn.std(), rel=0.05)

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from sskt_edge.catalogue.tasks import TASKS
from sskt_edge.common.errors import DataError
from sskt_edge.tasks.mean_ap import RankingScores, image_ap
from sskt_edge.tasks.multi_label import LEAST_WEIGHT, MOST_WEIGHT, MULTI_LABEL
from sskt_edge.tasks.task import Task

TASK: Task = TASKS["multi_label"].load()


def random_answers(seed: int, images: int = 200, classes: int = 7) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    random = np.random.default_rng(seed)
    labels = (random.random((images, classes)) < 0.25).astype(np.int8)
    logits = random.standard_normal((images, classes)) + 1.5 * labels - 0.5
    return np.round(logits, 1).astype(np.float32), labels  # rounded: some scores are equal


LOGITS, LABELS = random_answers(0)


def ignoring(labels: NDArray[np.int8], share: float = 0.15) -> NDArray[np.int8]:
    found = labels.copy()
    found[np.random.default_rng(1).random(labels.shape) < share] = -1
    return found


def test_the_chance_level_is_the_map_of_random_scores() -> None:
    """It is well above the share of images that have a class, where these are few."""
    random = np.random.default_rng(5)
    labels = np.zeros((354, 20), dtype=np.int8)
    labels[:20] = 1
    drawn = [TASK.value(random.standard_normal(labels.shape).astype(np.float32), labels) for _ in range(30)]
    assert TASK.chance(labels, 20) == pytest.approx(float(np.mean(drawn)), rel=0.05)
    assert TASK.chance(labels, 20) > 1.3 * 20 / 354


def test_the_entry_gives_the_task() -> None:
    assert TASK is MULTI_LABEL and (TASK.name, TASK.metric) == ("multi_label", "mAP")


def test_uninterpolated_map_is_that_of_scikit_learn() -> None:
    found = MULTI_LABEL.scores(LOGITS, LABELS, 7)
    assert found.uninterpolated == pytest.approx(average_precision_score(LABELS, LOGITS, average="macro"), abs=1e-12)


def test_the_mean_ap_of_images_is_that_of_scikit_learn() -> None:
    has = LABELS.any(axis=1)
    expected = average_precision_score(LABELS[has], LOGITS[has], average="samples")
    assert image_ap(LOGITS, LABELS) == pytest.approx(expected, abs=1e-12)
    assert expected == pytest.approx(label_ranking_average_precision_score(LABELS[has], LOGITS[has]), abs=1e-12)


def test_a_class_without_positives_is_left_out_of_the_mean() -> None:
    labels = np.append(LABELS, np.zeros((200, 1), np.int8), axis=1)
    found = MULTI_LABEL.scores(np.append(LOGITS, LOGITS[:, :1], axis=1), labels, 8)
    assert found.value == pytest.approx(TASK.value(LOGITS, LABELS), abs=1e-12)
    assert np.isnan(found.per_class[7]) and found.positives[7] == 0


def figures(found: RankingScores) -> list[float]:
    return [found.value, found.voc2007, found.uninterpolated, found.image_ap, *found.precision, *found.recall]


def test_what_is_ignored_may_be_anything() -> None:
    labels = ignoring(LABELS)
    other = np.where(labels < 0, np.float32(77), LOGITS)
    first, second = (MULTI_LABEL.scores(logits, labels, 7) for logits in (LOGITS, other))
    assert figures(first) == figures(second) and first.interval == second.interval
    ours, theirs = (TASK.loss(torch.from_numpy(logits), torch.from_numpy(labels)) for logits in (LOGITS, other))
    assert ours.item() == theirs.item()


def test_the_order_of_the_images_changes_no_figure() -> None:
    moved = np.random.default_rng(2).permutation(len(LABELS))
    first, second = MULTI_LABEL.scores(LOGITS, LABELS, 7), MULTI_LABEL.scores(LOGITS[moved], LABELS[moved], 7)
    assert figures(first) == pytest.approx(figures(second), abs=1e-12)


def test_a_perfect_ranking_has_1_everywhere() -> None:
    found = MULTI_LABEL.scores(LABELS * 4.0 - 2.0, LABELS, 7)
    assert figures(found) == [1.0] * 18 and found.interval == (1.0, 1.0)


def test_the_interval_holds_the_value_and_narrows_with_more_images() -> None:
    wide = TASK.scores(*random_answers(3, 100), 7).interval
    narrow = TASK.scores(*random_answers(3, 3000), 7).interval
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0]) > 0
    assert narrow[0] < TASK.value(*random_answers(3, 3000)) < narrow[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_is_the_worst_answer(bad: float) -> None:
    broken, worst = LOGITS.copy(), LOGITS.copy()
    broken[5, 3] = bad
    worst[5] = np.where(LABELS[5] == 1, -99, 99)
    found = MULTI_LABEL.scores(broken, LABELS, 7)
    assert found.not_finite == 1
    assert found.value == TASK.value(worst, LABELS) < TASK.value(LOGITS, LABELS)
    assert TASK.decisions(broken)[5].tolist() == [-1] * 7


def test_precision_and_recall_are_those_at_one_half() -> None:
    logits = np.array([[1, -1], [2, -1], [-3, -1], [-1, -1]], dtype=np.float32)
    found = MULTI_LABEL.scores(logits, np.array([[1, 0], [0, 1], [1, 0], [1, -1]], np.int8), 2)
    assert found.precision[0] == 1 / 2 and found.recall[0] == 1 / 3
    assert np.isnan(found.precision[1]) and found.recall[1] == 0


def test_scores_are_plain_json() -> None:
    found = json.loads(
        json.dumps(TASK.scores(np.zeros((2, 2)), np.array([[1, 0], [0, 0]]), 2).as_json(), allow_nan=False)
    )
    assert found["metric"] == "mAP" and found["per_class"] == [0.5, None]
    assert set(found["further"]) == {"mAP VOC2007", "mAP uninterpolated", "image AP"}


def test_the_table_has_a_row_a_class() -> None:
    (((_, heads, rows),),) = TASK.scores(np.zeros((2, 2)), np.array([[1, 0], [0, 0]]), 2).tables(["cat", "dog"])
    assert [head.name for head in heads] == ["class", "AP", "precision", "recall", "of"]
    assert rows == (("cat", "50.0%", "–", "0.0%", "1"), ("dog", "–", "–", "–", "0"))


def test_without_a_class_on_any_image_there_is_no_map() -> None:
    for labels in (np.zeros_like(LABELS), np.full_like(LABELS, -1)):
        with pytest.raises(DataError, match="mAP"):
            TASK.value(LOGITS, labels)
        assert TASK.drop(LOGITS, LOGITS, labels).interval == (-1, 1)


def test_a_drop_is_the_difference_of_two_maps() -> None:
    worse = (LOGITS + 0.8 * np.random.default_rng(4).standard_normal(LOGITS.shape)).astype(np.float32)
    found = TASK.drop(LOGITS, worse, LABELS)
    assert found.value == pytest.approx(TASK.value(LOGITS, LABELS) - TASK.value(worse, LABELS), abs=1e-12)
    assert found.interval[0] < found.value < found.interval[1] and found.images == 200
    assert TASK.drop(LOGITS, LOGITS, LABELS)[1:] == (0.0, (0.0, 0.0))


def test_a_paired_drop_is_surer_than_two_scores() -> None:
    near = (LOGITS + 0.05 * np.random.default_rng(4).standard_normal(LOGITS.shape)).astype(np.float32)
    drop, whole = TASK.drop(LOGITS, near, LABELS).interval, TASK.scores(LOGITS, LABELS, 7).interval
    assert drop[1] - drop[0] < (whole[1] - whole[0]) / 3


def test_agreement_counts_decisions_and_flips_images() -> None:
    other = LOGITS.copy()
    other[3, :2] = np.where(LOGITS[3, :2] > 0, -1, 1)
    other[8] = np.nan
    found = TASK.agreement(LOGITS, other)
    assert (found.images, found.decisions, found.equal, found.flips) == (200, 1400, 1400 - 2 - 7, (3, 8))


def test_the_interval_of_an_agreement_counts_images() -> None:
    other = LOGITS.copy()
    other[:10] = -LOGITS[:10] + 0.01
    found = TASK.agreement(LOGITS, other)
    assert found.interval[1] - found.interval[0] > 0.04  # 1,400 independent decisions would have half of it


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_binary_cross_entropy(weighted: bool) -> None:
    logits, labels = torch.from_numpy(LOGITS), torch.from_numpy(LABELS)
    weights = torch.linspace(0.5, 3.0, 7) if weighted else None
    expected = F.binary_cross_entropy_with_logits(logits, labels.float(), pos_weight=weights)
    assert TASK.loss(logits, labels, weights).item() == pytest.approx(expected.item(), rel=1e-6)
    assert TASK.loss(logits, labels, weights, None, "sum").item() == pytest.approx(200 * expected.item(), rel=1e-6)


def test_an_image_counts_by_its_known_classes_and_its_weight() -> None:
    logits, labels = torch.from_numpy(LOGITS), torch.from_numpy(ignoring(LABELS))
    known = [
        F.binary_cross_entropy_with_logits(x[y >= 0], y[y >= 0].float()) for x, y in zip(logits, labels, strict=True)
    ]
    weights = torch.linspace(0.1, 4.0, 200)
    expected = (torch.stack(known) * weights).sum() / weights.sum()
    assert TASK.loss(logits, labels, None, weights).item() == pytest.approx(expected.item(), rel=1e-5)


def test_an_image_of_which_nothing_is_known_gives_no_gradient() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    TASK.loss(logits, torch.tensor([[1, 0, -1], [-1, -1, -1]])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[1].tolist() == [0, 0, 0] and logits.grad[0, 2] == 0 and logits.grad[0, 0] < 0 < logits.grad[0, 1]


@pytest.mark.parametrize("weights", [None, torch.tensor([2.0, 1.0, 3.0])])
def test_an_image_of_which_nothing_is_known_is_no_part_of_the_mean(weights: torch.Tensor | None) -> None:
    logits, labels = torch.tensor([[2.0, -1.0], [0.5, 0.5], [9.0, 9.0]]), torch.tensor([[1, 0], [0, -1], [-1, -1]])
    known = None if weights is None else weights[:2]
    with_it, without = (
        TASK.loss(logits[:count], labels[:count], None, own) for count, own in ((3, weights), (2, known))
    )
    assert with_it == pytest.approx(without.item())


def test_the_figure_of_a_training_counts_images_right_in_full() -> None:
    logits = torch.tensor([[1.0, -1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    labels = torch.tensor([[1, 0], [1, 0], [1, -1], [-1, -1]])
    assert int(TASK.correct(logits, labels)) == 2


def test_balanced_weights_are_negatives_by_positives_within_bounds() -> None:
    labels = np.zeros((1000, 4), np.int8)
    labels[:200, 0], labels[:1, 1], labels[:990, 2], labels[500:, 0] = 1, 1, 1, -1
    assert TASK.class_weights(labels, 4).tolist() == pytest.approx([300 / 200, MOST_WEIGHT, LEAST_WEIGHT, MOST_WEIGHT])


def test_probabilities_are_the_sigmoid_of_any_logits() -> None:
    found = TASK.probabilities(np.array([[-1000.0, 0.0, 1000.0, 2.0]], dtype=np.float32))
    assert found[0].tolist() == pytest.approx([0, 0.5, 1, torch.sigmoid(torch.tensor(2.0).double()).item()])


def test_the_classes_above_one_half_are_decided() -> None:
    found = TASK.predicted(np.array([0.5, -1.0, 3.0, 0.0]), ["a", "b", "c", "d"])
    assert [(one.name, one.is_decided) for one in found] == [("c", True), ("a", True), ("d", False), ("b", False)]


def test_labels_of_every_kind_pass_the_check() -> None:
    for labels in (TASK.unknown(5, 3), TASK.example(5, 3), ignoring(LABELS[:, :3])):
        TASK.check(labels, 3)
    assert not TASK.known(TASK.unknown(5, 3)).any() and TASK.known(LABELS).all()
    assert TASK.class_counts(TASK.example(5, 3), 3).tolist() == [2, 2, 1]


@pytest.mark.parametrize("labels", [np.array([[0, 2]]), np.array([[-2, 0]]), np.array([[0.0, 1.0]]), np.array([0, 1])])
def test_other_labels_do_not(labels: NDArray[np.int64]) -> None:
    with pytest.raises(DataError, match=r"[Ll]abels"):
        TASK.check(labels, 2)

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET, Stoppable
from sskt_edge.sources.probe.fit import fit_probes
from sskt_edge.sources.probe.probe_logits import PROBE, with_probe
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.task import Linear, Task
from tests.sources.probe.sets import SOURCE_CLASSES, VIEWS, Logits, image_set, logits_of, one_hot, soft_labels

LABELS = np.arange(120) % 3
IMAGES = image_set(LABELS)


def blas_threads() -> set[int]:
    """The numbers of threads that the loaded BLAS libraries use."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_a_source_that_knows_the_classes_tells_them_apart() -> None:
    probe = fit_probes(SINGLE_LABEL, IMAGES, "abc", soft_labels(IMAGES, 3 * one_hot(LABELS, 3), 0.3), QUIET)
    (facts,) = probe.facts
    assert facts.score.value > 0.95 and facts.score.images == 120
    assert facts.chance == pytest.approx(1 / 3) and facts.is_better_than_chance
    assert facts.views == VIEWS * 120


def test_a_fit_multiplies_on_one_thread() -> None:
    """On two threads, products as small as these take up to five times as long."""
    seen: list[set[int]] = []
    with threadpool_limits(2, user_api="blas"):
        progress = Stoppable(QUIET, lambda: seen.append(blas_threads()))
        fit_probes(SINGLE_LABEL, IMAGES, "abc", soft_labels(IMAGES, one_hot(LABELS, 3), 0.3), progress)
        assert blas_threads() == {2}, "the limit ends with the fit"
    assert seen[0] == {2}, "the bar is opened before the fit"
    assert len(seen) > 10 and all(threads == {1} for threads in seen[1:])


def test_noise_does_not_pass_for_knowledge() -> None:
    """Held-out images are never seen, with all their views: 36 images in 12 dimensions are learned by heart."""
    labels = np.arange(36) % 3
    images = image_set(labels)
    probe = fit_probes(SINGLE_LABEL, images, "abc", soft_labels(images, np.zeros((36, 3)), 1.0), QUIET)
    assert probe.facts[0].score.value < 0.6
    assert probe.facts[0].loss > 0.95 * np.log(3)


@pytest.mark.parametrize("task", [SINGLE_LABEL, MULTI_LABEL])
def test_noise_is_not_better_than_chance(task: Task) -> None:
    """Its value is above the chance level in half of the draws, but its whole interval hardly ever is."""
    found = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        has = (random.random((60, 3)) < 0.2).astype(np.int8)
        images = image_set(np.arange(60) % 3 if task is SINGLE_LABEL else has)
        noise = soft_labels(images, random.standard_normal((60, 3)), 1.0)
        found.append(fit_probes(task, images, "abc", noise, QUIET).facts[0])
    assert sum(facts.is_better_than_chance for facts in found) <= 1
    assert any(facts.is_at_chance for facts in found)


def test_a_rare_class_is_known_by_the_loss_if_not_by_the_accuracy() -> None:
    """As with defects: the probe says more than the frequencies do, and still decides for the frequent class."""
    random = np.random.default_rng(0)
    labels = (np.arange(600) % 25 == 0).astype(np.int64)
    images = image_set(labels)
    signal = 0.5 * one_hot(labels, 2) + 0.7 * random.standard_normal((600, 2))
    facts = fit_probes(SINGLE_LABEL, images, "ab", soft_labels(images, signal, 0.5), QUIET).facts[0]
    assert facts.score.value <= facts.chance + 0.005
    assert facts.gain > 0 and facts.is_better_than_chance and not facts.is_at_chance


def test_held_out_answers_are_calibrated() -> None:
    probe = fit_probes(SINGLE_LABEL, IMAGES, "abc", soft_labels(IMAGES, one_hot(LABELS, 3), 1.0), QUIET)
    labels = soft_labels(IMAGES, one_hot(LABELS, 3), 1.0)
    taught = with_probe(probe, labels, is_labelled=True, kept=())
    logits = taught.readers[PROBE].read(np.arange(len(LABELS)))
    confident = SINGLE_LABEL.probabilities(logits).max(axis=1).mean()
    right = (logits.argmax(axis=1) == LABELS).mean()
    assert abs(confident - right) < 0.12


def test_a_labelled_image_is_taught_by_a_layer_that_has_not_seen_it() -> None:
    """Without its own image a layer cannot know a label that contradicts the signal."""
    labels = LABELS.copy()
    labels[:6] = (labels[:6] + 1) % 3
    images = image_set(labels)
    soft = soft_labels(images, 3 * one_hot(LABELS, 3), 0.1)
    probe = fit_probes(SINGLE_LABEL, images, "abc", soft, QUIET)
    taught = with_probe(probe, soft, is_labelled=True, kept=()).readers[PROBE].read(np.arange(120))
    assert (taught[:6].argmax(axis=1) == LABELS[:6]).all()
    inputs = probe.inputs({"source": soft.readers["source"].read(np.arange(120))})
    for row in range(120):
        own = probe.layer(int(probe.folds[row])).logits(inputs[[row]])
        np.testing.assert_allclose(own[0], taught[row], rtol=1e-4, atol=1e-5)


def test_other_images_get_the_mean_of_all_layers() -> None:
    soft = soft_labels(IMAGES, one_hot(LABELS, 3), 1.0)
    probe = fit_probes(SINGLE_LABEL, IMAGES, "abc", soft, QUIET)
    slots = np.arange(20)
    inputs = probe.inputs({"source": soft.readers["source"].read(slots)})
    expected = np.mean([layer.logits(inputs) for layer in probe.layers], axis=0)
    found = with_probe(probe, soft, is_labelled=False, kept=()).readers[PROBE].read(slots)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_adding_a_number_to_all_logits_of_a_view_changes_nothing() -> None:
    soft = soft_labels(IMAGES, one_hot(LABELS, 3), 1.0)
    raw = soft.readers["source"].read(np.arange(soft.schedule.count))
    moved = SoftLabels(soft.schedule, {"source": Logits(raw + np.arange(len(raw), dtype=np.float32)[:, None] % 7)})
    ours, theirs = (fit_probes(SINGLE_LABEL, IMAGES, "abc", one, QUIET) for one in (soft, moved))
    pairs = ((ours, soft), (theirs, moved))
    answers = [with_probe(probe, one, True, ()).readers[PROBE].read(np.arange(120)) for probe, one in pairs]
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-2, atol=1e-2)


def test_sources_are_ranked_and_the_best_teaches() -> None:
    soft = soft_labels(IMAGES, one_hot(LABELS, 3), 2.0, name="weak")
    readers = {**soft.readers, "strong": logits_of(3 * one_hot(LABELS, 3), 0.5, seed=5)}
    probe = fit_probes(SINGLE_LABEL, IMAGES, "abc", SoftLabels(soft.schedule, readers), QUIET)
    assert {facts.name for facts in probe.facts} == {"weak", "strong", "weak + strong"}
    scores = {facts.name: facts.score.value for facts in probe.facts}
    assert scores["strong"] > scores["weak"]
    assert [facts.loss for facts in probe.facts] == sorted(facts.loss for facts in probe.facts)
    assert probe.layers[0].weights.shape == (SOURCE_CLASSES * len(probe.sources), 3)


def test_several_classes_are_each_told_apart() -> None:
    random = np.random.default_rng(0)
    has = (random.random((150, 4)) < 0.3).astype(np.int8)
    labels = np.where(random.random(has.shape) < 0.1, -1, has).astype(np.int8)
    images = image_set(labels)
    probe = fit_probes(MULTI_LABEL, images, "abcd", soft_labels(images, 3.0 * has, 0.3), QUIET)
    assert probe.facts[0].score.metric == "mAP" and probe.facts[0].score.value > 0.9
    assert 0.2 < probe.facts[0].chance < 0.4


def test_the_layer_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, 5)).astype(np.float32)
    labels = (inputs[:, :3] + random.normal(size=(300, 3))).argmax(axis=1)
    start = SINGLE_LABEL.fit_linear(inputs, labels, Linear.zeros(5, 3), 1.0)
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(inputs, labels)
    expected = SINGLE_LABEL.probabilities(inputs @ model.coef_.T + model.intercept_)
    np.testing.assert_allclose(SINGLE_LABEL.probabilities(start.logits(inputs)), expected, atol=0.01)


def test_logits_that_are_not_finite_are_refused_by_name() -> None:
    soft = soft_labels(IMAGES, one_hot(LABELS, 3), 1.0, name="places")
    raw = soft.readers["places"].read(np.arange(soft.schedule.count))
    raw[7, 2] = np.inf
    with pytest.raises(DataError, match="Source 'places' gave answers that are not finite"):
        fit_probes(SINGLE_LABEL, IMAGES, "abc", SoftLabels(soft.schedule, {"places": Logits(raw)}), QUIET)


def test_fitting_again_gives_the_same_bits() -> None:
    soft = soft_labels(IMAGES, one_hot(LABELS, 3), 1.0)
    one, other = (fit_probes(SINGLE_LABEL, IMAGES, "abc", soft, QUIET).as_bytes() for _ in range(2))
    assert one == other

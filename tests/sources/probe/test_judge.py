"""What a judge by a probe lets pass and what it refuses, on logits with a known part that no probe reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sskt_edge.common.progress import QUIET
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.fill_record import GateRecord
from sskt_edge.sources.judge import LogitsJudge
from sskt_edge.sources.probe.choose_judge import judge_for_probe
from sskt_edge.sources.probe.fit import fit_probe_on
from sskt_edge.sources.probe.folds import folds_of
from sskt_edge.sources.probe.judge import ProbeJudge, labelled_identity
from sskt_edge.tasks.multi_label import MULTI_LABEL
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.sources.probe.sets import image_set, logits_of, one_hot

LABELS = np.arange(60) % 3
IMAGES = image_set(LABELS)
ROWS = np.tile(np.arange(60), 3)  # three views an image, in the order of `logits_of`
REFERENCE = logits_of(3 * one_hot(LABELS, 3), 0.3).read(np.arange(180))
JUDGE = ProbeJudge(SINGLE_LABEL, IMAGES, "abc", ROWS, GateOptions())


def unread_part(size: float) -> NDArray[np.float32]:
    """Changes of the logits in the directions in which the reference's hardly vary, which no probe relies on."""
    centred = REFERENCE - REFERENCE.mean(axis=1, keepdims=True)
    _, _, directions = np.linalg.svd(centred - centred.mean(axis=0))
    noise = np.random.default_rng(1).normal(size=(180, 3)) @ directions[-4:-1]
    return np.asarray(size * noise, dtype=np.float32)


def test_the_reference_has_no_distance_from_itself() -> None:
    distance = JUDGE.against(REFERENCE)(REFERENCE.copy())
    assert (distance.kl, distance.agreement, distance.reasons) == (0, 1, ())


def test_a_change_that_no_probe_reads_passes_though_logits_differ() -> None:
    changed = REFERENCE + unread_part(0.3)
    assert LogitsJudge().against(REFERENCE)(changed).reasons
    assert not JUDGE.against(REFERENCE)(changed).reasons


def test_a_change_of_what_the_probe_reads_is_refused() -> None:
    classes_turned = logits_of(3 * one_hot((LABELS + 1) % 3, 3), 0.3).read(np.arange(180))
    distance = JUDGE.against(REFERENCE)(classes_turned)
    assert len(distance.reasons) == 2 and distance.agreement < 0.2


def test_each_limit_is_a_key_of_the_recipe() -> None:
    changed = REFERENCE + np.float32(0.2) * np.random.default_rng(0).normal(size=REFERENCE.shape).astype(np.float32)
    for gate, refused in (
        (GateOptions(probe_kl=10, probe_agreement=0), False),
        (GateOptions(probe_kl=0, probe_agreement=0), True),
        (GateOptions(kl=0, agreement=1, probe_kl=10, probe_agreement=0), False),
    ):
        judge = ProbeJudge(SINGLE_LABEL, IMAGES, "abc", ROWS, gate)
        assert bool(judge.against(REFERENCE)(changed).reasons) == refused


@pytest.mark.parametrize("which", ["reference", "engine"])
def test_logits_that_are_not_finite_pass_nothing(which: str) -> None:
    broken = REFERENCE.copy()
    broken[7, 2] = np.nan
    pair = (broken, REFERENCE) if which == "reference" else (REFERENCE, broken)
    judge = ProbeJudge(SINGLE_LABEL, IMAGES, "abc", ROWS, GateOptions(probe_kl=1e9, probe_agreement=0))
    assert "its logits are not all finite" in judge.against(pair[0])(pair[1]).reasons


def test_a_view_is_judged_by_the_layer_that_has_not_seen_its_image() -> None:
    weak = logits_of(one_hot(LABELS, 3), 1.5).read(np.arange(180))  # the layers differ much from each other
    folds = folds_of(SINGLE_LABEL, IMAGES, "abc")
    probe = fit_probe_on(SINGLE_LABEL, LABELS, folds, ROWS, {"source": weak}, "abc", QUIET)
    changed = np.roll(weak, 1, axis=0)

    def held_out(logits: NDArray[np.float32]) -> Tensor:
        rows = zip(folds[ROWS], logits, strict=True)
        return torch.from_numpy(np.stack([probe.layer(int(fold)).logits(row) for fold, row in rows]))

    expected = SINGLE_LABEL.divergence(held_out(changed), held_out(weak), 1.0).mean().item()
    assert JUDGE.against(weak)(changed).kl == pytest.approx(expected, rel=1e-4)


def test_a_probe_that_knows_nothing_lets_only_the_references_logits_pass() -> None:
    """To it all engines would be the same: what it says hardly depends on the logits."""
    labels = np.random.default_rng(0).permutation(LABELS)
    judge = ProbeJudge(SINGLE_LABEL, image_set(labels), "abc", ROWS, GateOptions())
    (reason,) = judge.against(REFERENCE)(REFERENCE + np.float32(1e-6)).reasons
    assert "no better than chance" in reason
    assert not judge.against(REFERENCE)(REFERENCE.copy()).reasons


def test_several_classes_are_judged_by_each_decision() -> None:
    has = (np.random.default_rng(0).random((60, 4)) < 0.4).astype(np.int8)
    reference = logits_of(3.0 * has, 0.3).read(np.arange(180))
    judge = ProbeJudge(MULTI_LABEL, image_set(has), "abcd", ROWS, GateOptions())
    assert not judge.against(reference)(reference + np.float32(1e-4)).reasons
    distance = judge.against(reference)(np.roll(reference, 1, axis=0))
    assert distance.reasons and 0 < distance.agreement < 0.9


def test_a_class_with_one_image_leaves_the_logits_to_be_judged() -> None:
    rows = np.array([0, 1, 3, 4, 5, 6, 7])  # images of the classes 0, 1, 0, 1, 2, 0, 1
    judge = judge_for_probe(SINGLE_LABEL, IMAGES, "abc", rows, GateOptions())
    assert isinstance(judge, LogitsJudge)
    assert "class 'c' has fewer than two different images among the gate's 7 views" in judge.remark
    assert isinstance(judge_for_probe(SINGLE_LABEL, IMAGES, "abc", ROWS, GateOptions()), ProbeJudge)


@pytest.mark.parametrize(
    ("record", "accepted"),
    [
        (GateRecord(kl=0.003, agreement=0.995, judge="probe", labelled=JUDGE.by.labelled), True),
        (GateRecord(kl=0.003, agreement=0.98, judge="probe", labelled=JUDGE.by.labelled), False),
        (GateRecord(kl=0.003, agreement=0.98, near_tie=1), True),  # it passed as logits
        (GateRecord(kl=0.003, agreement=0.995, judge="probe", labelled="others"), False),
    ],
)
def test_findings_about_logits_and_about_the_same_labels_count(record: GateRecord, accepted: bool) -> None:
    assert (record.judged_by in JUDGE.believes and JUDGE.accepts(record)) == accepted


def test_the_labelled_images_have_one_identity_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(60)
    whole, turned = (labelled_identity(SINGLE_LABEL, one, "abc") for one in (IMAGES, image_set(LABELS[order], order)))
    assert whole == turned
    others = {
        labelled_identity(SINGLE_LABEL, image_set((LABELS + 1) % 3), "abc"),
        labelled_identity(SINGLE_LABEL, IMAGES, "abd"),
        labelled_identity(SINGLE_LABEL, image_set(LABELS[:59]), "abc"),
    }
    assert len({whole, *others}) == 4

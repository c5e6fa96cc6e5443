from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.convert.evaluation_set import EvaluationSet
from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.convert.measure import Measurements, measure
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.runners import Runner, runners_here
from sskt_edge.tasks.accuracy import accuracy_drop, top_k
from sskt_edge.tasks.single_label import SINGLE_LABEL
from sskt_edge.tasks.tolerances import Tolerances
from tests.bundle.tiny import tiny_onnx
from tests.convert.nets import (
    CLASSES,
    ORT,
    WIDTH,
    Net,
    conv_weights,
    evaluation_set_of,
    logits_of,
    random_weights,
    trained,
)

IMAGES = 40


@cache
def evaluation_set() -> EvaluationSet:
    return evaluation_set_of(trained(), IMAGES)


def measured(
    files: Mapping[str, bytes], whole: bool = True, runners: tuple[Runner, ...] = (ORT,)
) -> dict[str, Measurements]:
    return measure(files, evaluation_set(), whole, runners, Tolerances(), QUIET)


def guessing() -> bytes:
    """A network of other weights: it knows nothing of the pictures."""
    net = Net()
    return net.head(net.conv("conv1", net.pixels, conv_weights(1, 3)), random_weights(5, CLASSES, WIDTH))


def of_no_numbers() -> bytes:
    """A network that divides by zero for some images: those with a pixel of 232 or more."""
    net = Net()
    last = net.conv("conv1", net.pixels, conv_weights(1, 3))
    bright = net.add("ReduceMax", net.pixels, net.constant("axes", np.array([1, 2, 3], np.int64)), keepdims=1)
    most = net.constant("most", np.array(232 / 64 - 2, np.float32))
    least = net.add("Sub", net.add("Clip", bright, "", most), most)
    return net.head(net.add("Div", last, least), random_weights(5, CLASSES, WIDTH))


def test_every_runner_that_takes_a_file_has_a_record() -> None:
    runners = runners_here()
    files = {"fp32": trained(), "fp16": fp16_from_fp32(trained())}

    found = measured(files, runners=runners)

    assert found.keys() == files.keys()
    for precision, content in files.items():
        assert [f"{one.backend}-{one.provider}" for one in found[precision].measured] == [each.name for each in runners]
        assert found[precision].reasons == []
        for one, runner in zip(found[precision].measured, runners, strict=True):
            logits = logits_of(content, evaluation_set().images, runner=runner)
            parity = evaluation_set().parity(logits)
            assert one.images == IMAGES
            assert one.value == top_k(logits, evaluation_set().labels, 1) == 1.0
            assert (one.agreement, one.flips) == (parity.agreement.share, len(parity.agreement.flips))
            assert one.max_abs == pytest.approx(parity.max_abs, rel=0.2, abs=1e-5)
            assert 0 < one.latency_ms < 1e4
            assert one.versions == backend_named(runner.backend).versions(runner.provider)
            assert one.reasons == []
    apart = {precision: one.measured[0].max_abs or 0.0 for precision, one in found.items()}
    assert apart["fp16"] > 10 * apart["fp32"]
    assert [len(found[precision].measured[0].undecided) for precision in files] == [0, 1]  # 40 images cannot show 99 %


def test_what_is_out_of_tolerance_is_recorded_with_why_and_the_runner() -> None:
    (record,), reasons = (found := measured({"int8": guessing()})["int8"]).measured, found.reasons
    parity = evaluation_set().parity(logits_of(guessing(), evaluation_set().images))
    lost = accuracy_drop(
        evaluation_set().logits, logits_of(guessing(), evaluation_set().images), evaluation_set().labels
    )
    drop = 1.0 - top_k(logits_of(guessing(), evaluation_set().images), evaluation_set().labels, 1)

    assert record.reasons == verdict("int8", "onnxruntime-cpu", parity, Tolerances(), SINGLE_LABEL, lost).reasons
    assert lost.value == pytest.approx(drop)
    assert [reason.partition(" lower")[0] for reason in record.reasons[1:]] == [
        f"on 40 images accuracy is {100 * drop:.2f} points"
    ]
    assert reasons == [f"onnxruntime-cpu: {reason}" for reason in record.reasons]
    assert record.flips == len(parity.agreement.flips) > 10


def test_accuracy_is_judged_on_the_whole_test_set_alone() -> None:
    found = measured({"int8": guessing()}, whole=False)["int8"]
    assert len(found.reasons) == 1
    assert "have the trained network's class" in found.reasons[0]


def test_a_file_that_answers_no_numbers_has_reasons_and_no_record() -> None:
    broken = (~np.isfinite(logits_of(of_no_numbers(), evaluation_set().images)).all(axis=1)).sum()
    assert 0 < broken < IMAGES, "only some images are bad"

    for whole in (True, False):
        found = measured({"fp16": of_no_numbers()}, whole)["fp16"]
        assert found.measured == [] and found.failed.keys() == {"onnxruntime-cpu"}
        assert found.reasons == [
            f"onnxruntime-cpu: {broken} of {IMAGES} images have logits that are not finite numbers"
        ]


def test_a_file_that_a_runner_refuses_has_reasons_and_no_record() -> None:
    refused = {"a network of two outputs": tiny_onnx(outputs=2), "one with other sides": tiny_onnx()}
    for what, content in refused.items():
        found = measured({"int8-cpu": content})["int8-cpu"]
        assert found.measured == [], what
        (reason,) = found.reasons
        assert reason.startswith("onnxruntime-cpu: ") and "another form" in reason, what


def with_another_number_of_classes() -> bytes:
    net = Net()
    return net.file(net.add("Flatten", net.add("GlobalAveragePool", net.pixels)), classes=3)


def that_fails_when_it_runs() -> bytes:
    """It is taken, but its last matrix does not fit what it meets."""
    net = Net()
    sides = net.constant("sides", np.array([-1, WIDTH + 1], np.int64))
    flat = net.add("Reshape", net.add("GlobalAveragePool", net.conv("conv1", net.pixels, conv_weights(1, 3))), sides)
    return net.file(net.layer("Gemm", "fc", flat, random_weights(5, CLASSES, WIDTH + 1), transB=1))


@pytest.mark.parametrize("content", [with_another_number_of_classes, that_fails_when_it_runs])
def test_a_file_that_fails_at_its_first_run_spoils_its_own_record_alone(content: object) -> None:
    assert callable(content)
    found = measured({"fp32": trained(), "fp16": content()})

    assert found["fp16"].measured == []
    assert len(found["fp16"].reasons) == 1
    assert len(found["fp32"].measured) == 1 and found["fp32"].reasons == []

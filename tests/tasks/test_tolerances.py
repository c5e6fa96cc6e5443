from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from sskt_edge.catalogue.backends import BACKENDS, Provider, fp32_differences
from sskt_edge.tasks.tolerances import RENAMED, Tolerances


def test_every_runner_has_a_tolerance_of_its_own() -> None:
    runners = [f"{entry.name}-{provider.name}" for entry in BACKENDS.values() for provider in entry.providers]
    assert {Tolerances().fp32_key(runner) for runner in runners} == set(Tolerances().fp32_difference)


def test_the_limits_are_those_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Tolerances().fp32_difference == fp32_differences()
    assert fp32_differences()["onnxruntime_cpu"] == 1e-4

    entry = replace(BACKENDS["openvino"], name="other", providers=(Provider("npu", "Other", ("fp32",), 0.5),))
    monkeypatch.setitem(BACKENDS, "other", entry)
    assert Tolerances().fp32_allowed("other-npu") == 0.5
    assert Tolerances.model_validate({"fp32_difference": {"other_npu": 0.25}}).fp32_allowed("other-npu") == 0.25
    assert set(Tolerances.model_json_schema()["properties"]["fp32_difference"]["properties"]) == set(fp32_differences())


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"'onnxruntime_cup'.*Nearest: 'onnxruntime_cpu'"):
        Tolerances.model_validate({"fp32_difference": {"onnxruntime_cup": 1e-3}})


def test_a_runner_is_held_to_its_own_tolerance() -> None:
    for key in fp32_differences():
        own = Tolerances.model_validate({"fp32_difference": {key: 0.123}})
        assert own.fp32_allowed(key.replace("_", "-")) == 0.123
        others = [own.fp32_allowed(other.replace("_", "-")) for other in fp32_differences() if other != key]
        assert 0.123 not in others


def test_a_runner_without_one_gets_that_of_the_cpu() -> None:
    own = Tolerances.model_validate({"fp32_difference": {"onnxruntime_cpu": 0.5, "onnxruntime_cuda": 0.25}})
    assert own.fp32_allowed("torch-cpu") == 0.5


def test_a_gpu_may_differ_ten_times_as_much() -> None:
    allowed = Tolerances()
    for runner in ("onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt-cuda"):
        assert allowed.fp32_allowed(runner) == pytest.approx(10 * allowed.fp32_allowed("onnxruntime-cpu"))


@pytest.mark.parametrize(
    "given",
    [
        {"fp16_agreement": 1.01},
        {"int8_agreement": -0.01},
        {"int8_metric_drop": -0.01},
        {"int8_metric_drop": float("nan")},
        {"fp32_difference": {"onnxruntime_cpu": 0}},
        {"fp32_difference": {"onnxruntime_cpu": float("inf")}},
        {"fp32_difference": {"onnxruntime_gpu": 1e-3}},
        {"fp32_difference": 1e-3},
        {"fp32_max_abs": 1e-4},
    ],
)
def test_what_is_no_tolerance_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tolerances.model_validate(given)


def test_the_widest_and_the_tightest_can_be_given() -> None:
    for share in (0.0, 1.0):
        both = Tolerances(fp16_agreement=share, int8_agreement=share, int8_metric_drop=share)
        assert Tolerances.model_validate_json(both.model_dump_json()) == both


def test_keys_of_older_versions_have_a_key_of_today() -> None:
    assert (
        RENAMED.keys().isdisjoint(Tolerances.model_fields) and set(RENAMED.values()) <= Tolerances.model_fields.keys()
    )
    older = {"fp16_top1_agreement": 0.5, "int8_top1_agreement": 0.25, "int8_accuracy_drop": 0.125}
    now = Tolerances.model_validate({RENAMED[key]: value for key, value in older.items()})
    assert (now.fp16_agreement, now.int8_agreement, now.int8_metric_drop) == (0.5, 0.25, 0.125)

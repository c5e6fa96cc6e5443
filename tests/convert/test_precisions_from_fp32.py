"""What an export makes in addition to fp32, and what becomes of it when somebody does not take it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.common.errors import NetworkError
from sskt_edge.common.progress import QUIET
from sskt_edge.convert.bundle_from_run import bundle_from_run
from sskt_edge.convert.evaluation_set import open_images
from sskt_edge.evaluation.bench import Subject
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.runners import Runner
from sskt_edge.recipe.export_options import with_options as lay_options_over
from sskt_edge.targets.run_folder import TrainedNetwork


def with_options(run: TrainedNetwork, *overrides: str) -> TrainedNetwork:
    return replace(run, recipe=lay_options_over(run.recipe, overrides=overrides))


def with_onnx_runtime(patch: pytest.MonkeyPatch, second: type[OnnxRuntimeSession]) -> None:
    """Two libraries are here, and the second is this one."""
    runners = (Runner("onnxruntime", "cpu"), Runner("openvino", "cpu"))
    patch.setattr("sskt_edge.convert.bundle_from_run.runners_here", lambda: runners)
    patch.setattr("sskt_edge.inference.backends.openvino.backend.OpenVinoSession", second)


class _NoNumbers(OnnxRuntimeSession):
    """A second library, that answers nothing."""

    backend = "openvino"

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full_like(super().run(images), np.nan)


@pytest.mark.slow
def test_what_another_library_makes_of_fp32_marks_the_bundle(
    tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_onnx_runtime(monkeypatch, _NoNumbers)

    manifest = bundle_from_run(tiny_run, tmp_path / "bundle").manifest

    assert [one.runner for one in manifest.precisions["fp32"].measured] == ["onnxruntime-cpu"]
    assert manifest.failures == ["fp32 by openvino-cpu: 359 of 359 images have logits that are not finite numbers"]


class _TakesNoInt8(OnnxRuntimeSession):
    """A second library, that refuses int8."""

    def __init__(self, content: bytes, shape: tuple[int, ...], max_batch: int, **how: Any) -> None:
        if b"QuantizeLinear" in content:
            raise NetworkError("It takes no QuantizeLinear.")
        super().__init__(content, shape, max_batch, **how)


@pytest.mark.slow
def test_int8_that_a_library_does_not_take_is_refused_alone(
    tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_onnx_runtime(monkeypatch, _TakesNoInt8)
    run = with_options(tiny_run, "export.precisions=['fp16', 'int8']", "export.parity.int8_agreement=0.5")

    manifest = bundle_from_run(run, tmp_path / "bundle").manifest

    assert manifest.refused.keys() == {"int8"} and "It takes no QuantizeLinear" in manifest.refused["int8"]
    assert {"fp32", "fp16"} <= manifest.precisions.keys()


@pytest.mark.slow
def test_int8_says_what_it_was_calibrated_with_by_hash(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    run = with_options(tiny_run, "export.precisions=['int8']", "export.parity.int8_agreement=0.5")
    bundle = bundle_from_run(run, tmp_path / "bundle")
    listed = bundle.read("calibration.txt").decode().split()
    record = bundle.manifest.precisions["int8"].calibration
    images = open_images(run, QUIET)
    assert record is not None and record.images == len(listed) == len(images.calibration)
    assert listed == images.hashes and all(re.fullmatch("[0-9a-f]{64}", line) for line in listed)


@pytest.mark.slow
@pytest.mark.parametrize(("slower", "has"), [(2.0, False), (0.5, True)])
def test_the_second_int8_file_is_kept_where_it_was_measured_faster(
    slower: float, has: bool, tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(subjects: list[Subject], *_: object) -> dict[str, float]:
        return {one.name: slower if one.name.startswith("int8-cpu") else 1.0 for one in subjects}

    monkeypatch.setattr("sskt_edge.convert.measure.quick_latency", timed)
    run = with_options(tiny_run, "export.precisions=['int8']", "export.parity.int8_agreement=0.5")
    manifest = bundle_from_run(run, tmp_path / "bundle").manifest
    assert ("int8-cpu" in manifest.precisions) is has and "int8-cpu" not in manifest.refused


@pytest.mark.slow
def test_for_tensorrt_alone_there_is_no_second_int8_file(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    changes = ("export.precisions=['int8']", "export.devices=['tensorrt']", "export.parity.int8_agreement=0.5")
    manifest = bundle_from_run(with_options(tiny_run, *changes), tmp_path / "bundle").manifest
    assert set(manifest.precisions) == {"fp32", "int8"}


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "marked"), [("tensorrt", True), ("cpu", False)])
def test_what_tensorrt_would_refuse_is_refused_or_remarked(
    devices: str, marked: bool, tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sskt_edge.convert.precisions_from_fp32.lint_for_tensorrt", lambda _: ["a node of its own"])
    run = with_options(tiny_run, "export.precisions=['fp16']", f"export.devices=['{devices}']")
    manifest = bundle_from_run(run, tmp_path / "bundle").manifest
    assert ("fp16" in manifest.refused, bool(manifest.precisions["fp32"].failed)) == (marked, marked)
    assert (
        any("fp32 by tensorrt: it would refuse the file: a node of its own" in failure for failure in manifest.failures)
        is marked
    )

"""Every name of the bindings that the package uses is there, and takes what it is given, in each version it is for.

TensorRT is not installed here, and CUDA in one version: their bindings come from the package index.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.inference.backends.tensorrt import bindings
from tests.inference.backends.tensorrt.bindings import NotHereError, Surface
from tests.inference.backends.tensorrt.names import FOLDER, Use, fault, names_of, uses

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
TENSORRT_WHEELS = ("tensorrt-cu12-bindings==10.3.0", "tensorrt-cu12-bindings<11", "tensorrt-cu13-bindings<12")
CUDA_WHEELS = ("cuda-bindings==12.8.0", "cuda-bindings<13")
# For these the package asks first which library it has.
ONLY_RTX = frozenset({"ComputeCapability", "num_compute_capabilities", "set_compute_capability"})
GONE_IN_11 = {
    "": {"IInt8EntropyCalibrator2", "IInt8MinMaxCalibrator", "CalibrationAlgoType", "IAlgorithmSelector"},
    "BuilderFlag": {"FP16", "BF16", "INT8", "FP8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"},
    "NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH"},
    "Builder": {"platform_has_fast_fp16", "platform_has_fast_int8", "platform_has_tf32"},
    "IBuilderConfig": {"int8_calibrator", "set_calibration_profile", "algorithm_selector"},
    "OnnxParser": {"supports_model"},
    "ICudaEngine": {"device_memory_size", "has_implicit_batch_dimension"},
    "ITensor": {"dynamic_range", "set_dynamic_range"},
}


def surface_of(requirement: str, module: str, folder: Path) -> Surface:
    try:
        return bindings.of_wheel(requirement, module, folder)
    except NotHereError as error:
        pytest.skip(str(error))


@cache
def of_rtx() -> Surface:
    return bindings.installed("tensorrt_rtx")


@cache
def of_cuda() -> Surface:
    return bindings.installed("cuda.bindings.runtime")


def used(*, cuda: bool) -> list[Use]:
    return [use for file, text in SOURCES.items() if (file == "cuda.py") is cuda for use in uses(text, file)]


def faults(surface: Surface, *, cuda: bool = False, without: frozenset[str] = frozenset()) -> list[str]:
    """What of the package does not fit these bindings, but for names of which the package asks first."""
    known, here = names_of(of_cuda() if cuda else of_rtx(), surface), names_of(surface)
    return [found for use in used(cuda=cuda) if use.name not in without and (found := fault(use, known, here))]


def test_the_names_are_there_in_tensorrt_for_rtx() -> None:
    assert faults(of_rtx()) == []
    names = {use.name for use in used(cuda=False)}
    assert names >= ONLY_RTX
    # Without these the tests below could not fail.
    assert names >= {"deserialize_cuda_engine", "execute_async_v3", "create_network", "set_shape"}


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("requirement", TENSORRT_WHEELS)
def test_the_names_are_there_in_tensorrt(requirement: str, tmp_path: Path) -> None:
    surface = surface_of(requirement, "tensorrt_bindings", tmp_path)
    assert faults(surface, without=ONLY_RTX) == []
    # Without these the test above could not tell 10 from 11.
    gone = [(owner, name) for owner, names in GONE_IN_11.items() for name in names]
    assert {name in surface.get(owner, {}) for owner, name in gone} == {requirement != TENSORRT_WHEELS[-1]}
    assert not {use.name for use in used(cuda=False)} & {name for _, name in gone}
    # What a session takes for "TensorRT did not start".
    assert bindings.error_of_a_runtime_on_an_empty_library(tmp_path) == "TypeError"


def test_the_names_are_there_in_the_installed_cuda() -> None:
    assert faults(of_cuda(), cuda=True) == []
    assert {use.name for use in used(cuda=True)} >= {"cudaMemcpyAsync", "cudaStreamSynchronize"}


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("requirement", CUDA_WHEELS)
def test_the_names_are_there_in_cuda_12(requirement: str, tmp_path: Path) -> None:
    assert faults(surface_of(requirement, "cuda.bindings.runtime", tmp_path), cuda=True) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("trt.BuilderFlag.FP16", "nothing has FP16"),
        ("engine.get_tensor_name()", "get_tensor_name takes "),
        ("engine.get_tensor_name(1, 2)", "get_tensor_name takes "),
        ("engine.get_tensor_name(number=1)", "get_tensor_name takes "),
        ("engine.num_io_tensors()", "num_io_tensors is not to be called"),
        ("trt.Runtime()", "Runtime takes "),
    ],
)
def test_a_use_that_does_not_fit_is_found(source: str, said: str) -> None:
    (one,) = [use for use in uses(source, "file.py") if use.name in said]
    known = names_of(of_rtx(), {"BuilderFlag": {"FP16": None}})
    assert re.match(rf"file.py:1: {said}", fault(one, known, names_of(of_rtx())))


@pytest.mark.parametrize(
    "source",
    [
        "trt.Runtime(logger).deserialize_cuda_engine(plan)",
        "engine.get_tensor_format('x')",
        "engine.get_tensor_format('x', 0)",
        "engine.create_execution_context()",
        "kinds[0].name.lower()",
        "numpy.float32",
    ],
)
def test_a_use_that_fits_is_not(source: str) -> None:
    names = names_of(of_rtx())
    assert [one for use in uses(source, "file.py") if (one := fault(use, names, names))] == []

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
from tests.inference.backends.tensorrt.names import FOLDER, ONLY_RTX, Use, fault, unknown, uses

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
TENSORRT_WHEELS = ("tensorrt-cu12-bindings==10.3.0", "tensorrt-cu12-bindings<11", "tensorrt-cu13-bindings<12")
CUDA_WHEELS = ("cuda-bindings==12.8.0", "cuda-bindings<13")
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


def used(*, cuda: bool) -> list[Use]:
    return [use for file, text in SOURCES.items() if (file == "cuda.py") is cuda for use in uses(text, file)]


def faults(surface: Surface, *, cuda: bool, rtx: bool = False) -> list[str]:
    """What of the package does not fit these bindings."""
    own = [use for use in used(cuda=cuda) if rtx or (use.owner, use.name) not in ONLY_RTX]
    covered = [unknown(text, file, surface) for file, text in SOURCES.items() if (file == "cuda.py") is cuda]
    return [*filter(None, (fault(use, surface) for use in own)), *sorted(set().union(*covered))]


def test_the_names_are_there_in_tensorrt_for_rtx() -> None:
    surface = of_rtx()
    assert faults(surface, cuda=False, rtx=True) == []
    assert {name for owner, name in ONLY_RTX} <= {use.name for use in used(cuda=False)}


@pytest.mark.parametrize("requirement", TENSORRT_WHEELS)
def test_the_names_are_there_in_tensorrt(requirement: str, tmp_path: Path) -> None:
    surface = surface_of(requirement, "tensorrt_bindings", tmp_path)
    assert faults(surface, cuda=False) == []
    # Without these the test above could not tell 10 from 11.
    gone = [(owner, name) for owner, names in GONE_IN_11.items() for name in names]
    assert {name in surface.get(owner, {}) for owner, name in gone} == {requirement != TENSORRT_WHEELS[-1]}
    assert not {(use.owner, use.name) for use in used(cuda=False)} & set(gone)
    # What a session takes for "TensorRT did not start".
    assert bindings.error_of_a_runtime_on_an_empty_library(tmp_path) == "TypeError"


def test_the_names_are_there_in_the_installed_cuda() -> None:
    assert faults(bindings.installed("cuda.bindings.runtime"), cuda=True) == []


@pytest.mark.parametrize("requirement", CUDA_WHEELS)
def test_the_names_are_there_in_cuda_12(requirement: str, tmp_path: Path) -> None:
    assert faults(surface_of(requirement, "cuda.bindings.runtime", tmp_path), cuda=True) == []


@pytest.mark.parametrize(
    ("source", "file", "said"),
    [
        ("trt.BuilderFlag.FP16", "builder.py", "BuilderFlag has no FP16"),
        ("trt.IInt8Calibrator", "builder.py", "the module has no IInt8Calibrator"),
        ("self._context.execute_async_v9(1)", "session.py", "IExecutionContext has no execute_async_v9"),
        ("engine.get_tensor_name()", "session.py", "get_tensor_name takes "),
        ("engine.get_tensor_name(1, 2)", "session.py", "get_tensor_name takes "),
        ("engine.get_tensor_name(number=1)", "session.py", "get_tensor_name takes "),
        ("engine.get_tensor_mode", "session.py", "get_tensor_mode is to be called"),
        ("engine.num_io_tensors()", "session.py", "num_io_tensors is not to be called"),
        ("trt.Runtime()", "session.py", "Runtime takes "),
        ("class A(trt.ILogger):\n  def log(self, a): ...", "logger.py", "log takes "),
        ("config.create_timing_cache(b'').combine(1)", "builder.py", "[?] has no combine"),
        ("other.set_input_shape('x', (1,))", "session.py", "what is other, of which set_input_shape is taken"),
        ("builder.create_network(1)", "build.py", "what is builder, of which create_network is taken"),
    ],
)
def test_a_use_that_does_not_fit_is_found(source: str, file: str, said: str) -> None:
    surface = of_rtx()
    found = [*(fault(use, surface) for use in uses(source, file)), *unknown(source, file, surface)]
    assert any(re.match(rf"{file}:\d: {said}", one) for one in found), found


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
    surface = of_rtx()
    found = [*(fault(use, surface) for use in uses(source, "session.py")), *unknown(source, "session.py", surface)]
    assert [one for one in found if one] == []

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.common.errors import BundleError, InputError, MissingExtraError, WorkError
from sskt_edge.inference.backends.onnxruntime import backend as onnxruntime_backend
from sskt_edge.inference.backends.tensorrt import backend as tensorrt_backend
from sskt_edge.inference.backends.tensorrt import cuda, flavours
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.machine.conditions import conditions
from sskt_edge.machine.device import CudaGpu
from sskt_edge.machine.gpus import GpuState
from tests.bundle.tiny import tiny_onnx, write_bundle
from tests.sealed import changed

pytest.importorskip("onnxruntime")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A bundle of four precisions, which are all the same matrix."""
    same = tiny_onnx()
    return write_bundle(tmp_path / "four", fp16=same, int8=same, int8_cpu=same)


def names(path: Path, **asked: Any) -> list[str]:
    return [one.name for one in open_sessions(open_bundle(path), **asked).opened]


def test_everything_that_is_here_is_opened(path: Path) -> None:
    pytest.importorskip("openvino")
    assert [name for name in names(path) if name.endswith(("onnxruntime-cpu", "openvino-cpu"))] == [
        *("fp32 onnxruntime-cpu", "fp32 openvino-cpu", "fp16 onnxruntime-cpu", "fp16 openvino-cpu"),
        *("int8 onnxruntime-cpu", "int8 openvino-cpu", "int8-cpu onnxruntime-cpu"),
    ]


def test_one_precision_one_library_or_both_can_be_asked_for(path: Path) -> None:
    assert names(path, backend="onnxruntime", provider="cpu", precision="int8") == ["int8 onnxruntime-cpu"]
    assert names(path, backend="onnxruntime", provider="auto", precision="fp16") == ["fp16 onnxruntime-cpu"]
    assert {name.partition(" ")[0] for name in names(path, precision="int8-cpu")} == {"int8-cpu"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"precision": "int4"}, r"has no int4\. It has: fp32, fp16, int8, int8-cpu"),
        ({"backend": "onxruntime"}, "Unknown backend 'onxruntime'. Nearest: 'onnxruntime'"),
        ({"provider": "tpu"}, "Unknown provider 'tpu'"),
        ({"backend": "openvino", "provider": "gpu"}, "Unknown provider 'gpu'"),
        ({"backend": "tensorrt"}, "has no engine of fp32"),
    ],
)
def test_what_is_not_here_says_why(asked: dict[str, Any], said: str, path: Path) -> None:
    with pytest.raises(InputError, match=said):
        open_sessions(open_bundle(path), **asked)


def test_a_refused_precision_says_why_it_is_not_there(path: Path) -> None:
    with changed(path / "manifest.json") as raw:
        del raw["precisions"]["int8"]
        raw["refused"]["int8"] = "too far from fp32"
    with pytest.raises(BundleError, match=r"has no int8\. It was refused at export: too far from fp32 It has"):
        open_sessions(open_bundle(path), "int8")


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if TensorRT were installed."""
    monkeypatch.setattr(flavours, "installed", lambda: (Flavour("tensorrt", "10.3.0"),))


def test_an_engine_that_could_be_built_says_how(path: Path, tensorrt: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "device", lambda: CudaGpu("NVIDIA A10", "8.6", "13.0", "13.0"))
    closed = open_sessions(open_bundle(path), provider="auto").unavailable
    assert [name for name in closed if "tensorrt-cuda" in name] == [
        f"{precision} tensorrt-cuda" for precision in ("fp32", "fp16", "int8")
    ]
    assert f"sskt-edge export {path} --trt --precision fp16" in closed["fp16 tensorrt-cuda"]
    assert not any("tensorrt" in name for name in open_sessions(open_bundle(path), backend="onnxruntime").unavailable)


def test_cuda_that_onnxruntime_lacks_is_named_whatever_tensorrt_says(
    path: Path, tensorrt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "device", lambda: CudaGpu("NVIDIA A10", "8.6", "13.0", "13.0"))
    monkeypatch.setattr(onnxruntime_backend, "providers", lambda: ("cpu",))
    with pytest.raises(MissingExtraError, match=r"'cuda' is not in this onnxruntime.*sskt-edge\[gpu\]"):
        open_sessions(open_bundle(path), provider="cuda")
    with pytest.raises(BundleError, match="has no engine"):
        open_sessions(open_bundle(path), backend="tensorrt", provider="cuda")
    with pytest.raises(BundleError, match="has no engine of int8"):  # ONNX Runtime's CUDA takes no int8
        open_sessions(open_bundle(path), "int8", provider="cuda")


def test_without_gpu_and_engine_nothing_is_said_of_engines(
    path: Path, tensorrt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "device", lambda: None)
    monkeypatch.setattr(tensorrt_backend, "conditions", lambda: replace(conditions(), gpus=(), jetson=None))
    assert not any("tensorrt-cuda" in name for name in open_sessions(open_bundle(path)).unavailable)


def test_a_gpu_that_cuda_does_not_take_is_one(path: Path, tensorrt: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise WorkError("the driver was changed")

    monkeypatch.setattr(cuda, "device", fails)
    seen = replace(conditions(), gpus=(GpuState("NVIDIA A10", "580.1"),))
    monkeypatch.setattr(tensorrt_backend, "conditions", lambda: seen)
    assert "fp32 tensorrt-cuda" in open_sessions(open_bundle(path)).unavailable


def test_one_library_that_does_not_take_a_file_does_not_hide_the_others(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b", fp16=tiny_onnx(dtype="FLOAT"))
    found = open_sessions(open_bundle(path))
    assert "fp32 onnxruntime-cpu" in [one.name for one in found.opened]
    assert "another form" in found.unavailable["fp16 onnxruntime-cpu"]

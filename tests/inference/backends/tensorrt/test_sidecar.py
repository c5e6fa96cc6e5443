from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import BundleError
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.backends.tensorrt.sidecar import Sidecar, differences, parse, this_platform
from sskt_edge.machine.device import CudaGpu

ORIN = CudaGpu(name="Orin", compute_capability="8.7", driver="12.6", runtime="12.6")
CARD = CudaGpu(name="NVIDIA GeForce RTX 4090", compute_capability="8.9", driver="13.0", runtime="13.0")
TURING = CudaGpu(name="NVIDIA T1000", compute_capability="7.5", driver="13.0", runtime="13.0")
TENSORRT, RTX = Flavour("tensorrt", "10.3.0"), Flavour("tensorrt_rtx", "1.7.1.116")


def sidecar(**changes: Any) -> Sidecar:
    """Of an engine that TensorRT built on an Orin."""
    facts = {
        "flavour": "tensorrt",
        "version": "10.3.0",
        "gpu": "Orin",
        "compute_capabilities": ["8.7"],
        "network": "fp16",
        "batch": Batch(min=1, opt=4, max=8),
        "shape": (224, 224, 3),
        "tf32": False,
        "onnx_sha256": "a" * 64,
        "plan_sha256": "b" * 64,
        "created": datetime(2026, 1, 2, tzinfo=timezone.utc),
        "tool_version": "0.1.0",
        "platform": this_platform(),
    }
    return Sidecar.model_validate(facts | changes)


def of_rtx(**changes: Any) -> Sidecar:
    facts: dict[str, Any] = {"flavour": RTX.name, "version": RTX.version, "gpu": None, "compute_capabilities": []}
    return sidecar(**facts | changes)


def test_what_is_written_is_read() -> None:
    assert parse(sidecar().as_bytes()) == sidecar()


def test_a_sidecar_of_version_1_is_read_by_its_height_and_width() -> None:
    raw = json.loads(sidecar().as_bytes())
    del raw["shape"]
    older = {**raw, "schema_version": 1, "height": 224, "width": 224}
    assert parse(json.dumps(older).encode()) == sidecar()

    del older["width"]
    with pytest.raises(BundleError, match="not valid: shape"):
        parse(json.dumps(older).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "not valid: colour: Extra"),
        ({"plan_sha256": "B" * 64}, "not valid: plan_sha256"),
        ({"flavour": "openvino"}, "not valid: flavour"),
        ({"compute_capabilities": ["sm87"]}, r"not valid: compute_capabilities\.0"),
        ({"batch": {"min": 2, "opt": 1, "max": 2}}, "min <= opt <= max"),
        ({"schema_version": 9}, "schema version 9; this sskt-edge reads up to 2"),
        ({"schema_version": None}, "not valid: schema_version"),
    ],
)
def test_a_sidecar_that_does_not_hold_is_refused(change: dict[str, Any], said: str) -> None:
    raw = json.loads(sidecar().as_bytes()) | change
    with pytest.raises(BundleError, match=said) as caught:
        parse(json.dumps(raw).encode(), "sskt-edge export my/bundle --trt")
    assert "sskt-edge export my/bundle --trt" in str(caught.value) or "pip install --upgrade" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 60_000, b"[]"])
def test_what_is_no_sidecar_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"The engine's sidecar is not.*sskt-edge export my/bundle --trt"):
        parse(content, "sskt-edge export my/bundle --trt")


def test_a_sidecar_of_any_size_is_not_parsed() -> None:
    raw = json.loads(sidecar().as_bytes()) | {"gpu": "x" * 65_536}
    with pytest.raises(BundleError, match=r"it has \d+ bytes.*sskt-edge export my/bundle --trt"):
        parse(json.dumps(raw).encode(), "sskt-edge export my/bundle --trt")


def test_an_engine_fits_the_machine_that_built_it() -> None:
    assert differences(sidecar(), TENSORRT, ORIN) == []


@pytest.mark.parametrize("gpu", [CARD, None], ids=["a card", "no GPU"])
def test_an_rtx_engine_fits_any_card_and_a_machine_without_one(gpu: CudaGpu | None) -> None:
    assert differences(of_rtx(), RTX, gpu) == []
    assert differences(of_rtx(compute_capabilities=["8.6", "8.9"]), RTX, gpu) == []


@pytest.mark.parametrize(
    ("made", "flavour", "gpu", "words"),
    [
        (sidecar(), Flavour("tensorrt", "10.4.0"), ORIN, ("TensorRT 10.3.0", "TensorRT 10.4.0")),
        (sidecar(), Flavour("tensorrt_rtx", "10.3.0"), ORIN, ("by TensorRT 10.3.0", "TensorRT for RTX 10.3.0")),
        (sidecar(platform="windows-amd64"), TENSORRT, ORIN, ("windows-amd64", this_platform())),
        (sidecar(), TENSORRT, None, ("'Orin'", "no GPU")),
        (sidecar(gpu="Xavier"), TENSORRT, ORIN, ("'Xavier'", "Orin")),
        (sidecar(compute_capabilities=["7.2"]), TENSORRT, ORIN, ("7.2", "'Orin' has 8.7")),
        (of_rtx(compute_capabilities=["8.6", "12.0"]), RTX, CARD, ("8.6, 12.0", "8.9")),
        (of_rtx(), RTX, TURING, ("8.0 and later", "7.5")),
    ],
)
def test_each_difference_is_one_sentence_with_both_sides(
    made: Sidecar, flavour: Flavour, gpu: CudaGpu | None, words: tuple[str, ...]
) -> None:
    (sentence,) = differences(made, flavour, gpu)
    assert all(word in sentence for word in words)
    assert sentence.endswith(".")


def test_all_differences_are_told_at_once() -> None:
    assert len(differences(sidecar(platform="windows-amd64"), RTX, CARD)) == 4

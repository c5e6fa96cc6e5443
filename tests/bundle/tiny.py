"""Tiny real things: a network that is a matrix, images of one colour, a whole bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sskt_edge.bundle.golden import Golden, pixel_hashes
from tests.sealed import as_sealed

SIDE = 8
CLASSES = ["red", "blue", "green"]  # not sorted, as a data set's own order may be
COLOURS = {"red": (200, 20, 20), "blue": (20, 20, 200), "green": (20, 200, 20)}
WEIGHT = np.array([[0.02, 0, 0], [0, 0, 0.02], [0, 0.02, 0]], dtype=np.float32)  # [3 colours, 3 classes]
BIAS = np.array([0.1, 0.2, -0.3], dtype=np.float32)
# precision → its file's name in a bundle
FILES = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx", "int8-cpu": "model.int8-cpu.onnx"}
MEASURED = {
    "backend": "onnxruntime",
    "provider": "cpu",
    "versions": {"onnxruntime": "1.23.2"},
    "images": 12,
    "value": 1.0,
    "interval": [0.7, 1.0],
    "agreement": 1.0,
    "flips": 0,
    "max_abs": 1e-6,
    "latency_ms": 0.1,
    "reasons": [],
}


def reference(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the tiny network answers: mean colour times matrix plus bias, in float64."""
    logits: npt.NDArray[np.float64] = images.mean(axis=(1, 2), dtype=np.float64) @ WEIGHT.astype(np.float64) + BIAS
    return logits.astype(np.float32)


def tiny_model(*, side: int = SIDE, batch: str | int = "batch", dtype: str = "UINT8", outputs: int = 1) -> Any:
    """uint8 [batch,side,side,3] → float32 [batch,3]: Cast, ReduceMean, Gemm."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["wide"], to=types.FLOAT),
        helper.make_node("ReduceMean", ["wide", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"]),
    ]
    constants = {"axes": np.array([1, 2], dtype=np.int64), "weight": WEIGHT, "bias": BIAS}
    names = ["logits", "mean"][:outputs]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", getattr(types, dtype), [batch, side, side, 3])],
        [helper.make_tensor_value_info(name, types.FLOAT, [batch, 3]) for name in names],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def tiny_onnx(**form: Any) -> bytes:
    content: bytes = tiny_model(**form).SerializeToString()
    return content


def coloured(name: str, number: int) -> npt.NDArray[np.uint8]:
    """The image `number` of a class: its colour with a little noise. uint8 [SIDE,SIDE,3]."""
    noise = np.random.default_rng([number, CLASSES.index(name)]).integers(-15, 16, (SIDE, SIDE, 3))
    return np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)


def write_images(root: Path, each: int = 4) -> None:
    """root/<class>/<number>.png, `each` a class."""
    for name in CLASSES:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            Image.fromarray(coloured(name, number)).save(root / name / f"{number}.png")


def tiny_golden(each: int = 4) -> Golden:
    images = np.stack([coloured(name, number) for name in CLASSES for number in range(each)])
    labels = np.repeat(np.arange(3, dtype=np.int64), each)
    logits = reference(images)
    return Golden(images[::2], labels[::2], logits[::2], pixel_hashes(images), labels, logits)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest_of(files: dict[str, bytes]) -> dict[str, Any]:
    """The manifest, as plain values, of a bundle that holds `files`."""
    listed = {name: {"sha256": sha256(content), "bytes": len(content)} for name, content in files.items()}
    some = sha256(b"")
    return {
        "schema_version": 4,
        "name": "tiny",
        "created": "2026-01-02T03:04:05Z",
        "tool": {"name": "sskt-edge", "version": "0.1.0"},
        "lineage": {
            "recipe_sha256": some,
            "data_sha256": some,
            "run": "tiny-run",
            "weights_sha256": some,
            "onnx_sha256": listed["model.onnx"]["sha256"],
            "sources": {"imagenet": "torchvision/resnet50"},
        },
        "task": "single_label",
        "input": {"kind": "image", "shape": [SIDE, SIDE, 3], "batch": {"min": 1, "opt": 4, "max": 5}},
        "classes": CLASSES,
        "target": "matrix",
        "parameters": 12,
        "macs": 9,
        "test": {"metric": "accuracy", "images": 12, "value": 1.0, "interval": [0.7, 1.0], "further": {}},
        "parity": {},
        "precisions": {
            precision: {"file": name, **listed[name], "measured": [MEASURED]}
            for precision, name in FILES.items()
            if name in listed
        },
        "refused": {},
        "libraries": {"numpy": "2.2.6"},
        "files": listed,
    }


def write_bundle(root: Path, *, model: bytes | None = None, golden: Golden | None = None, **others: bytes) -> Path:
    """A whole bundle at `root`; `others` are the files of further precisions, fp16=…, int8=…."""
    files = {
        "model.onnx": tiny_onnx() if model is None else model,
        "golden.safetensors": (golden or tiny_golden()).as_bytes(),
        **{FILES[precision.replace("_", "-")]: content for precision, content in others.items()},
    }
    root.mkdir(parents=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    (root / "manifest.json").write_bytes(as_sealed(manifest_of(files)))
    return root

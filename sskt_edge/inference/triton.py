"""A bundle as a model repository for the Triton Inference Server, with one model per ONNX file and TensorRT engine.

No Triton server has loaded one in this project's tests yet: they compare the configuration with the bundle.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.bundle.manifest import Manifest
from sskt_edge.common.errors import BundleError
from sskt_edge.common.files import folder_written_whole
from sskt_edge.inference.backends.tensorrt import trust
from sskt_edge.inference.bundle_engines import engines
from sskt_edge.inference.session import INPUT_NAME, OUTPUT_NAME

_VERSION = "1"
_LABELS = "labels.txt"
_QUEUE_MICROSECONDS = 1000  # how long a request may wait for others to share its batch
# Files that run only on a CPU are served on it; other ONNX files are served on a GPU if the server has one.
_ON_CPU = ("int8-cpu",)


@dataclass(frozen=True)
class Model:
    """One model of the repository.

    Attributes:
        name: its folder.
        backend: Triton's backend.
        file: the file name that the backend looks for.
        content: the content of that file.
        on: the kind of device that serves it.
    """

    name: str
    backend: Literal["onnxruntime", "tensorrt"]
    file: Literal["model.onnx", "model.plan"]
    content: bytes
    on: Literal["KIND_AUTO", "KIND_CPU", "KIND_GPU"]


def triton_from_bundle(bundle: Bundle, path: Path) -> list[str]:
    """Write a model repository to `path`, which must not exist.

    Engines of TensorRT for RTX are left out: Triton's TensorRT backend does not load them. Engines that this user did
    not build on this machine are left out too, since serving an engine runs it. A Triton server can load only engines
    of its own TensorRT version.

    Returns:
        The names of the models.

    Raises:
        BundleError: `path` exists, a file of the bundle was changed, or an engine does not accept a single image.
        StorageError: the files cannot be written.
    """
    if path.exists():
        raise BundleError(f"'{path}' exists; a model repository is written to a new folder. Name another one.")
    models = _models(bundle)
    labels = "".join(f"{_one_line(name)}\n" for name in bundle.manifest.classes)
    with folder_written_whole(path) as folder:
        for model in models:
            (folder / model.name / _VERSION).mkdir(parents=True)
            (folder / model.name / _VERSION / model.file).write_bytes(model.content)
            (folder / model.name / "config.pbtxt").write_text(configuration(model, bundle.manifest))
            (folder / model.name / _LABELS).write_text(labels, encoding="utf-8")
    return [model.name for model in models]


def configuration(model: Model, manifest: Manifest) -> str:
    """The content of config.pbtxt: the bundle's input and output, and dynamic batching by Triton.

    Args:
        model: the model to describe.
        manifest: the manifest of the bundle.
    """
    spec = manifest.input
    sizes = ", ".join(str(size) for size in sorted({spec.batch.opt, spec.batch.max}))
    return f"""name: {json.dumps(model.name)}
backend: "{model.backend}"
max_batch_size: {spec.batch.max}
input [
  {{
    name: "{INPUT_NAME}"
    data_type: TYPE_UINT8
    dims: [ {", ".join(map(str, spec.shape))} ]
  }}
]
output [
  {{
    name: "{OUTPUT_NAME}"
    data_type: TYPE_FP32
    dims: [ {len(manifest.classes)} ]
    label_filename: "{_LABELS}"
  }}
]
dynamic_batching {{
  preferred_batch_size: [ {sizes} ]
  max_queue_delay_microseconds: {_QUEUE_MICROSECONDS}
}}
instance_group [
  {{
    count: 1
    kind: {model.on}
  }}
]
"""


def _models(bundle: Bundle) -> list[Model]:
    """The ONNX files first, then the engines of TensorRT."""
    name = _word(bundle.manifest.name)
    onnx = [
        Model(
            f"{name}_{_word(precision)}",
            "onnxruntime",
            "model.onnx",
            bundle.read(record.file),
            "KIND_CPU" if precision in _ON_CPU else "KIND_AUTO",
        )
        for precision, record in bundle.manifest.precisions.items()
    ]
    built = [
        Model(f"{name}_{_word(Path(engine.plan).stem)}", "tensorrt", "model.plan", bundle.read(engine.plan), "KIND_GPU")
        for engine in engines(bundle)
        if engine.sidecar.flavour == "tensorrt" and trust.is_own(engine.sidecar.plan_sha256)
    ]
    if built and (smallest := bundle.manifest.input.batch.min) > 1:
        raise BundleError(
            f"'{bundle.path}' has engines for batches of at least {smallest}, but Triton would send them single "
            "images. Export for single images too: sskt-edge export RUN --set export.batch.min=1 --trt."
        )
    return [*onnx, *built]


def _word(text: str) -> str:
    """A name that Triton and every file system accept."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", text)


def _one_line(name: str) -> str:
    """A class name as one line of a file."""
    return " ".join(name.split())

"""The engines that can run a source, determined without running it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.common.errors import InputError, NetworkError
from sskt_edge.convert.fp16_from_fp32 import fp16_from_fp32
from sskt_edge.inference.backend import backend_named
from sskt_edge.inference.session import Session
from sskt_edge.recipe.precision import Precision, SourcePrecision
from sskt_edge.sources.int8_file import int8_from_source, quantiser_version
from sskt_edge.targets.precision import bf16_instructions, has_fast_bf16, has_fast_int8, int8_instructions


@dataclass(frozen=True)
class SourceEngine:
    """A library, together with the precision that it computes in.

    Attributes:
        backend: the library.
        precision: the precision that it computes in. In int8 it runs a quantised file, whose float parts are in fp32.
        provider: what the library shall run on, if that does not follow from the device.
    """

    backend: str
    precision: SourcePrecision
    provider: str = ""

    @property
    def name(self) -> str:
        """The engine's name, such as "openvino-bf16" or "onnxruntime-tensorrt-fp32"."""
        return "-".join(filter(None, (self.backend, self.provider, self.precision)))


_ALL = (
    SourceEngine("torch", "fp32"),
    SourceEngine("torch", "bf16"),
    SourceEngine("torch", "fp16"),
    *(SourceEngine(entry.name, *one) for entry in BACKENDS.values() for one in entry.source_engines),
)
ENGINES: dict[str, SourceEngine] = {engine.name: engine for engine in _ALL}

_GPU = ("cuda", "tensorrt")


def engines_here(reference: SourceEngine, device: torch.device) -> tuple[SourceEngine, ...]:
    """The reference, and the other installed engines that run the same network on the same device.

    If that device is a GPU, CPU engines are not worth an export.
    """
    others = (engine for engine in _beside(reference, device) if engine.precision != "int8")
    return (reference, *others)


def int8_engines_here(reference: SourceEngine, device: torch.device) -> tuple[SourceEngine, ...]:
    """The installed engines that run a quantised file of the network on the reference's device."""
    return tuple(engine for engine in _beside(reference, device) if engine.precision == "int8")


def engine_facts(engine: SourceEngine, device: torch.device) -> dict[str, Any]:
    """The facts about an engine that a label depends on: backend, precision, provider, versions, processor, threads.

    They are known before a session is opened; `checked` refuses a session that differs from them.

    Args:
        engine: the engine that runs the source.
        device: the device of the training.

    Raises:
        MissingExtraError: the engine's library is not installed.
        NetworkError: this machine does not support the engine's precision.
    """
    versions = _versions(engine)
    provider = _provider(engine, device)
    if provider is None:
        raise NetworkError(f"Engine '{engine.name}' does not run here: no {engine.precision} on this {device.type}.")
    name = _processor(engine, provider, device)
    # On a CPU torch's order of summation depends on the thread count; ONNX Runtime and OpenVINO gave the same bits.
    threads = {"threads": torch.get_num_threads()} if (engine.backend, provider) == ("torch", "cpu") else {}
    return {
        "backend": engine.backend,
        "precision": engine.precision,
        "provider": provider,
        "versions": versions,
        "processor": name,
        **threads,
    }


def engine_named_in(facts: object) -> SourceEngine | None:
    """The engine that a label's facts name under "engine", even if it is not installed; None if it is unknown here."""
    known = facts if isinstance(facts, dict) else {}
    provider = "tensorrt" if (known.get("backend"), known.get("provider")) == ("onnxruntime", "tensorrt") else ""
    named = (known.get("backend"), known.get("precision"), provider)
    return next((it for it in ENGINES.values() if (it.backend, it.precision, it.provider) == named), None)


def processor_of(engine: SourceEngine, facts: dict[str, Any], device: torch.device) -> str | None:
    """The features of this machine's processor that decide the labels of an engine; None if it does not have them."""
    provider = str(facts.get("provider"))
    return None if provider in _GPU and device.type != "cuda" else _processor(engine, provider, device)


def open_onnx_session(
    content: bytes,
    engine: SourceEngine,
    device: torch.device,
    size: int,
    batch: int,
    calibration: NDArray[np.uint8] | None = None,
) -> Session:
    """A session of an engine that runs ONNX files, with the same number of threads as torch.

    Args:
        content: the ONNX file, whose input is uint8 [N,size,size,3].
        engine: the engine that runs it.
        device: the device of the training.
        size: the side of the images.
        batch: the exact batch size of every run.
        calibration: uint8 [n,size,size,3], which an int8 engine needs for its file.

    Raises:
        NetworkError: the engine does not support the network, or not in the requested precision.
        InputError: the provider does not start.
        MissingExtraError: the engine's library is not installed.
    """
    facts = engine_facts(engine, device)
    if engine.precision == "int8":
        if calibration is None:
            raise NetworkError(
                f"Engine '{engine.name}' runs a quantised file, and no images were given to calibrate it."
            )
        content = int8_from_source(content, calibration)
    # A TensorRT engine computes in the types of its graph.
    in_fp16 = engine.precision == "fp16" and not BACKENDS[engine.backend].runs_files
    session = backend_named(engine.backend).open_file(
        fp16_from_fp32(content) if in_fp16 else content,
        (size, size, 3),
        batch,
        provider=facts["provider"],
        threads=torch.get_num_threads(),
        precision="fp32" if engine.precision == "int8" else engine.precision,
        fixed_batch=True,
    )
    return checked(session, engine, device)


def checked(session: Session, engine: SourceEngine, device: torch.device) -> Session:
    """Check that a session does what the engine's facts say, and return it.

    Raises:
        NetworkError: it does not.
    """
    asked = engine_facts(engine, device)
    if engine.precision == "int8":  # to the library, it is a file in fp32 with roundings in it
        asked["precision"] = "fp32"
    for key in ("backend", "provider", "precision", "versions"):
        if getattr(session, key) != asked[key]:
            raise NetworkError(
                f"Engine '{engine.name}': asked for {key} {asked[key]}, but it runs with {getattr(session, key)}. "
                f"Choose another engine: labels.engine, labels.precision."
            )
    return session


def _versions(engine: SourceEngine) -> dict[str, str]:
    if engine.backend == "torch":
        return {"torch": str(torch.__version__)}
    return backend_named(engine.backend).versions(engine.provider)


def _provider(engine: SourceEngine, device: torch.device) -> str | None:
    """The provider that would run the engine; None if it is not installed or cannot run."""
    if engine.backend == "torch":
        return device.type if engine.precision in _torch_precisions(device) else None
    try:
        there = backend_named(engine.backend).providers()
        # Without a request it is the device's provider, or else the CPU.
        provider = engine.provider or (device.type if device.type in there else "cpu")
        if provider not in there or (provider in _GPU and device.type != "cuda"):
            return None
        _versions(engine)
    except InputError:  # it is not installed, or has no GPU
        return None
    if engine.precision == "int8" and not (provider == "cpu" and has_fast_int8() and quantiser_version()):
        return None
    return None if (provider, engine.precision) == ("cpu", "bf16") and not has_fast_bf16() else provider


def _beside(reference: SourceEngine, device: torch.device) -> Iterator[SourceEngine]:
    """The other engines that compute on the reference's device."""
    place = _place(reference, device)
    return (engine for engine in ENGINES.values() if engine != reference and _place(engine, device) == place)


def _place(engine: SourceEngine, device: torch.device) -> str | None:
    """The device that the engine computes on, whatever its library; None if it cannot run."""
    provider = _provider(engine, device)
    return "cuda" if provider in _GPU else provider


def _torch_precisions(device: torch.device) -> set[Precision]:
    """The precisions that torch is fast in. No GPU has run a source in this project's tests yet."""
    if device.type == "cuda":
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return {"fp32", "fp16", "bf16"} if bf16 else {"fp32", "fp16"}
    return {"fp32", "bf16"} if device.type == "cpu" and has_fast_bf16() else {"fp32"}


def _processor(engine: SourceEngine, provider: str, device: torch.device) -> str:
    """The processor features that decide a label's last bits: a GPU's name, or such as "x86_64 AVX512 AMX"."""
    if provider in _GPU:
        return torch.cuda.get_device_name(device)
    words = [platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if engine.precision == "bf16":
        words += bf16_instructions()
    if engine.precision == "int8":
        words += int8_instructions()
    if limit := os.environ.get("ONEDNN_MAX_CPU_ISA"):  # torch's and OpenVINO's convolutions obey it
        words.append(f"at most {limit}")
    return " ".join(words)

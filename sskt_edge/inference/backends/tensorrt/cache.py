"""Engines outside bundles, such as those of sources: each is built once per machine and kept in the user's cache.

No GPU has opened one in this project's tests yet.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from platformdirs import user_cache_path

from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import BundleError
from sskt_edge.common.files import write_atomically
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.inference.backends.tensorrt import cuda, trust
from sskt_edge.inference.backends.tensorrt.build import build_engine
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.backends.tensorrt.sidecar import differences, parse


def cached_engine(
    onnx: bytes, shape: tuple[int, ...], batch: int, precision: str, flavour: Flavour, progress: Progress = QUIET
) -> bytes:
    """The engine of an ONNX file for batches of exactly `batch` images, from the cache if one there fits this machine.

    Args:
        onnx: the file, with one input uint8 [N,*shape].
        shape: the shape of one image, channels last: (S,S,3).
        batch: the number of images of each run.
        precision: the graph's precision; it is only recorded.
        flavour: the library that builds and runs it.
        progress: draws the bar.

    Raises:
        NetworkError: TensorRT does not support the network.
        WorkError: the build failed.
        StorageError: the engine cannot be written to the cache.
    """
    name = hashlib.sha256(
        f"{hashlib.sha256(onnx).hexdigest()} {shape} {batch} {precision} {flavour}".encode()
    ).hexdigest()
    stem = user_cache_path("sskt-edge", appauthor=False) / "engines" / name[:32]
    plan, sidecar = stem.with_suffix(".plan"), stem.with_suffix(".json")
    kept = _kept(plan, sidecar, flavour)
    if kept is not None:
        return kept
    built = build_engine(
        onnx,
        shape=shape,
        batch=Batch(min=batch, opt=batch, max=batch),
        network=precision,
        flavour=flavour,
        progress=progress,
    )
    trust.remember(built.sidecar.plan_sha256, progress)
    write_atomically(plan, built.plan)
    write_atomically(sidecar, built.sidecar.as_bytes())
    return built.plan


def _kept(plan: Path, sidecar: Path, flavour: Flavour) -> bytes | None:
    """The cached engine, if it was built on this machine and fits it."""
    try:
        facts, content = parse(sidecar.read_bytes()), plan.read_bytes()
    except (OSError, BundleError):
        return None
    found = hashlib.sha256(content).hexdigest()
    fits = found == facts.plan_sha256 and trust.is_own(found) and not differences(facts, flavour, cuda.device())
    return content if fits else None

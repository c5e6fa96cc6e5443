"""Print the findings of doctor as tables. Each command is on a line of its own, so that it can be copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sskt_edge.cli.output import show_pairs

if TYPE_CHECKING:
    from sskt_edge.cli.console import Console
    from sskt_edge.doctor.machine import Machine
    from sskt_edge.machine.conditions import Conditions


def show_machine(machine: Machine, readiness: Mapping[str, str], command: str, problems: Sequence[str]) -> None:
    """Print the machine, the packages, the backends, the verbs, what to install, and the warnings.

    Args:
        machine: the machine that was examined.
        readiness: verb → "ready …", "not here: …", or the command that installs what the verb lacks.
        command: the command that installs what this device lacks to run bundles; "" if nothing is missing.
        problems: the warnings.
    """
    from sskt_edge.cli.console import Console

    console = Console()
    _table(console, "this machine", _machine_rows(machine))
    _table(console, "packages", _package_rows(machine))
    _table(console, "backends", _backend_rows(machine))
    commands: dict[str, list[str]] = {command: ["running bundles on this device"]} if command else {}
    states = {}
    for verb, state in readiness.items():
        if state.startswith(("ready", "not here")):
            states[verb] = state
        else:
            states[verb] = "needs packages, see below"
            commands.setdefault(state, []).append(verb)
    _table(console, "verbs", states)
    for what, verbs in commands.items():
        console.print(f"\n  for {'; '.join(verbs)}:")
        console.print(f"    {what}", style="cyan")
    notes = [("note", machine.device.note, "dim")] if machine.device.note else []
    for lead, text, style in [*(("warning", problem, "yellow") for problem in problems), *notes]:
        console.print(f"\n{lead}: {text}", style=style)


def _table(console: Console, title: str, rows: Mapping[str, str]) -> None:
    console.print(f"\n{title}", style="bold")
    show_pairs(console, rows, [_style(value) for value in rows.values()])


def _style(value: str) -> str:
    return "green" if value.startswith("ready") else "yellow" if value.startswith("needs packages") else ""


def _machine_rows(machine: Machine) -> dict[str, str]:
    conditions = machine.conditions
    cuda = machine.cuda
    if cuda:
        answers = f"CUDA {cuda.driver} by the driver, {cuda.runtime} by cuda-bindings"
    else:
        answers = "no GPU responds" if machine.packages.get("cuda-bindings") else "cuda-bindings is not installed"
    return {
        "device": machine.device.name,
        "system": f"{conditions.system}, kernel {conditions.kernel}, {conditions.architecture}",
        "processor": _processor(conditions),
        **_gpu_rows(conditions),
        "CUDA": answers,
        "TensorRT": ", ".join(f"{name} {version}" for name, version in machine.tensorrt.items()) or "none",
        "Python": machine.python,
    }


def _processor(conditions: Conditions) -> str:
    processor = conditions.processor
    return _listed(
        processor.name,
        f"{processor.cores} cores",
        f"{processor.core_quota:g} by quota" if processor.core_quota else "",
        _clock("clock", processor.clock_mhz, processor.max_clock_mhz),
        f"governor {processor.governor}" if processor.governor else "",
        f"{conditions.memory_mib / 1024:.1f} GiB" if conditions.memory_mib else "",
    )


def _gpu_rows(conditions: Conditions) -> dict[str, str]:
    rows = {}
    jetson = conditions.jetson
    if jetson:
        rows["Jetson"] = _listed(
            jetson.model,
            f"L4T {jetson.l4t}" if jetson.l4t else "",
            f"power mode {jetson.power_mode}" if jetson.power_mode else "",
            _clock("GPU", jetson.gpu_clock_mhz, jetson.gpu_max_clock_mhz),
        )
    for number, gpu in enumerate(conditions.gpus):
        rows[f"GPU {number}"] = _listed(
            gpu.name,
            f"compute capability {gpu.compute_capability}" if gpu.compute_capability else "",
            f"{gpu.memory_mib / 1024:.1f} GiB" if gpu.memory_mib else "",
            f"driver {gpu.driver}" if gpu.driver else "",
            _clock("SM", gpu.sm_clock_mhz, gpu.max_sm_clock_mhz),
            f"limit {gpu.power_limit_w:g} W" if gpu.power_limit_w else "",
        )
    return rows or {"GPU": "none reported by NVIDIA's driver"}


def _clock(what: str, now: float | None, most: float | None) -> str:
    return f"{what} at {now:.0f} of {most:.0f} MHz" if now and most else ""


def _listed(*parts: str | None) -> str:
    return ", ".join(filter(None, parts))


def _package_rows(machine: Machine) -> dict[str, str]:
    from sskt_edge.common.packages import extras

    rows = {}
    for extra, names in extras().items():
        here = ", ".join(f"{name} {machine.packages[name]}" for name in names if machine.packages.get(name))
        absent = ", ".join(machine.missing(extra))
        rows[extra] = "; ".join(filter(None, (here, f"not installed: {absent}" if absent else "")))
    return rows


def _backend_rows(machine: Machine) -> dict[str, str]:
    from sskt_edge.catalogue.backends import BACKENDS

    return {
        BACKENDS[name].title: f"for {', '.join(providers)}" if providers else "not here"
        for name, providers in machine.backends.items()
    }

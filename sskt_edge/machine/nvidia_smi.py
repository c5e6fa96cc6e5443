"""What nvidia-smi knows of the GPUs; on Jetson little, or it is absent (JetPack 5). Not yet run with a GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sskt_edge.machine.probe import ask

_FIELDS = {
    "name": "name",
    "driver": "driver_version",
    "compute_capability": "compute_cap",
    "memory_mib": "memory.total",
    "sm_clock_mhz": "clocks.sm",
    "max_sm_clock_mhz": "clocks.max.sm",
    "memory_clock_mhz": "clocks.mem",
    "max_memory_clock_mhz": "clocks.max.mem",
    "power_limit_w": "power.limit",
    "temperature_c": "temperature.gpu",
    "persistence": "persistence_mode",
}
_TEXTS = ("name", "driver", "compute_capability")
_UNKNOWN_FIELD = re.compile(r'Field "([\w.]+)" is not a valid field')


@dataclass(frozen=True)
class GpuState:
    """A GPU and how it was set when it was asked. None: nvidia-smi does not say.

    Attributes:
        name: such as "NVIDIA GeForce RTX 4090".
        driver: version of the driver, such as "580.95.05".
        compute_capability: such as "8.9".
        memory_mib: all of its memory.
        sm_clock_mhz: now; an idle GPU clocks down, so ask while it works or just after.
        max_sm_clock_mhz: that it can reach.
        memory_clock_mhz: now.
        max_memory_clock_mhz: that it can reach.
        power_limit_w: in force.
        temperature_c: now.
        persistence: the driver stays loaded while nobody uses it.
    """

    name: str | None = None
    driver: str | None = None
    compute_capability: str | None = None
    memory_mib: float | None = None
    sm_clock_mhz: float | None = None
    max_sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    max_memory_clock_mhz: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    persistence: bool | None = None


def ask_gpus() -> tuple[tuple[GpuState, ...], str]:
    """Every GPU, and what is wrong with nvidia-smi, or ""; nothing at all where it is not installed."""
    fields = dict(_FIELDS)
    while True:
        answer = ask("nvidia-smi", f"--query-gpu={','.join(fields.values())}", "--format=csv,noheader,nounits")
        if answer is None:
            return (), ""
        # An older one knows fewer fields, and answers none when one is unknown to it.
        unknown = {match for match in _UNKNOWN_FIELD.findall(answer.text) if match in fields.values()}
        if not unknown:
            break
        fields = {name: field for name, field in fields.items() if field not in unknown}
    if answer.fault:
        return (), answer.fault
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.text.splitlines()]
    return tuple(_state(dict(zip(fields, row, strict=True))) for row in rows if len(row) == len(fields)), ""


def _state(said: dict[str, str]) -> GpuState:
    values: dict[str, Any] = {name: (_text if name in _TEXTS else _number)(text) for name, text in said.items()}
    values["persistence"] = {"Enabled": True, "Disabled": False}.get(said.get("persistence", ""))
    return GpuState(**values)


def _text(said: str) -> str | None:
    """What nvidia-smi said; None for [N/A], [Not Supported], [Unknown Error] and the like."""
    return None if said.startswith("[") or said in ("", "N/A") else said


def _number(said: str) -> float | None:
    try:
        return float(said)
    except ValueError:
        return None

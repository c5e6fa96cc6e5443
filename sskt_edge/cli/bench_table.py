"""Print a benchmark as one table, with the machine and the method of measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sskt_edge.cli.output import show
from sskt_edge.common.shell import command
from sskt_edge.evaluation.bench_bundle import Benchmark
from sskt_edge.evaluation.timing import Timing
from sskt_edge.machine.conditions import Conditions
from sskt_edge.machine.gpus import GpuState
from sskt_edge.machine.jetson import Jetson

_HEAD = ("batch", "P50", "P90", "P99", "mean", "n", "images/s", "copy", "compute")


def show_benchmark(found: Benchmark, path: Path, options: Sequence[str] = ()) -> None:
    """Print a benchmark of the bundle at `path`; `options` are repeated in the suggested next command."""
    from sskt_edge.cli.console import Console
    from sskt_edge.cli.table import Column, Table

    columns = [Column(folds=True), *(Column(name, right=True) for name in _HEAD)]
    rows = []
    if found.preprocessing is not None:
        rows.append(["read a JPEG", *_cells(1, found.preprocessing), "–", "–"])
    for one in found.measurements:
        times = _cells(one.batch, one.latency)
        rows.append([one.subject.name, *times, _milliseconds(one.copy), _milliseconds(one.compute)])
    console = Console()
    console.print("milliseconds per run", style="italic")
    Table(console, columns, rows, gap=1).show()
    show(f"{found.bundle} on this machine", _rows(found), [command("eval", path, *options)])


def _cells(batch: int, timing: Timing) -> list[str]:
    times = [_milliseconds(seconds) for seconds in (timing.p50, timing.p90, timing.p99, timing.mean)]
    return [str(batch), *times, str(timing.n), f"{batch / timing.mean:,.0f}"]


def _rows(found: Benchmark) -> dict[str, str]:
    machine = found.after
    versions = dict(pair for one in found.measurements for pair in one.subject.session.versions.items())
    rows = {"processor": _processor(machine)}
    if machine.gpus:
        rows["GPU"] = _gpu(machine.gpus[0])
    if machine.jetson is not None:
        rows["Jetson"] = _jetson(machine.jetson)
    rows["software"] = ", ".join([f"{name} {version}" for name, version in versions.items()] + [machine.system])
    rows |= {("method" if number == 0 else " " * number): line for number, line in enumerate(found.method)}
    unsteady = [one for one in found.measurements if not one.steady]
    if unsteady:
        low, high = map(_milliseconds, max(unsteady, key=lambda one: one.turns[1] / one.turns[0]).turns)
        rows["note"] = (
            f"the machine's speed varied in {len(unsteady)} of {len(found.measurements)} measurements, at worst "
            f"between {low} and {high} ms. Close other programs or let the machine cool, then measure again"
        )
    if found.stopped:
        rows["stopped"] = "by a signal, before the measurements were complete"
    return rows | {f"not run: {name}": why for name, why in (found.unavailable | found.left_out).items()}


def _processor(machine: Conditions) -> str:
    cpu = machine.processor
    governor = f", governor {cpu.governor}" if cpu.governor else ""
    quota = "" if cpu.core_quota is None else f" ({cpu.core_quota:g} by quota)"
    return f"{cpu.name or machine.architecture}, {cpu.cores} cores{quota}{governor}"


def _gpu(gpu: GpuState) -> str:
    said = [gpu.name, gpu.driver and f"driver {gpu.driver}", *_clock(gpu.sm_clock_mhz, gpu.max_sm_clock_mhz)]
    return ", ".join(filter(None, [*said, *_warm(gpu.temperature_c)]))


def _jetson(jetson: Jetson) -> str:
    said = [jetson.model, jetson.power_mode and f"mode {jetson.power_mode}"]
    clock = _clock(jetson.gpu_clock_mhz, jetson.gpu_max_clock_mhz)
    return ", ".join(filter(None, [*said, *clock, *_warm(jetson.gpu_temperature_c)]))


def _clock(now: float | None, most: float | None) -> list[str]:
    return [] if now is None else [f"{now:.0f} MHz" + ("" if most is None else f" of {most:.0f}")]


def _warm(celsius: float | None) -> list[str]:
    return [] if celsius is None else [f"{celsius:.0f} °C at the end"]


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    milliseconds = seconds * 1e3
    return f"{milliseconds:.{3 if milliseconds < 10 else 2 if milliseconds < 100 else 1}f}"

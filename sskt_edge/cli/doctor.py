"""sskt-edge doctor: what is installed here, what each verb can do, and how to get what is missing."""

from __future__ import annotations

from sskt_edge.cli.output import JsonFlag, show_json


def doctor(json_: JsonFlag = False) -> None:
    """Show what this machine has and what each verb can do here."""
    from rich.console import Console
    from rich.table import Table

    from sskt_edge.runtime.machine import look

    machine = look()
    if json_:
        show_json(machine.as_json())
        return
    installed = ", ".join(f"{name} {version}" for name, version in machine.packages.items() if version)
    absent = ", ".join(name for name, version in machine.packages.items() if version is None)
    rows = {
        "python": f"{machine.python} on {machine.platform}, {machine.cores} cores",
        "installed": installed,
        "not installed": absent or "nothing is missing",
        "onnxruntime runs on": ", ".join(machine.providers) or "not installed",
        "nvidia gpu": machine.gpu or "none found (no nvidia-smi)",
    }
    console = Console()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    for name, value in {**rows, **{f"verbs: {verb}": state for verb, state in machine.verbs().items()}}.items():
        table.add_row(name, value)
    console.print(table, highlight=False, markup=False)
    for warning in machine.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False, style="yellow")

"""sskt-edge networks: list what a recipe can name."""

from __future__ import annotations

from sskt_edge.catalogue.entry import Entry
from sskt_edge.cli.output import JsonFlag, show_json, show_pairs
from sskt_edge.common.packages import install_hint


def networks(json_: JsonFlag = False) -> None:
    """List what a recipe can name, such as targets and sources."""
    from sskt_edge.catalogue.backends import BACKENDS
    from sskt_edge.catalogue.data_sets import DATA_SETS
    from sskt_edge.catalogue.methods import METHODS
    from sskt_edge.catalogue.sources import SOURCES
    from sskt_edge.catalogue.targets import TARGETS
    from sskt_edge.catalogue.tasks import TASKS
    from sskt_edge.cli.console import Console

    everything = {
        "targets": {entry.name: _line(entry) for entry in TARGETS.values()},
        "sources": {entry.written: _line(entry) for entry in SOURCES.values()},
        "data sets": {entry.name: _line(entry) for entry in DATA_SETS.values()},
        "tasks": {entry.name: _line(entry) for entry in TASKS.values()},
        "methods": {entry.name: _line(entry) for entry in METHODS.values()},
        "backends": {entry.name: _line(entry) for entry in BACKENDS.values()},
    }
    if json_:
        show_json(everything)
        return
    console = Console()
    for title, rows in everything.items():
        console.print(title, style="bold")
        show_pairs(console, rows)
        console.print()


def _line(entry: Entry) -> str:
    """An entry's description, and the command that installs the packages it needs."""
    return f"{entry.description}; {install_hint(*entry.extras)}" if entry.extras else entry.description

"""sskt-edge networks: what a recipe may name."""

from __future__ import annotations

from sskt_edge.cli.output import JsonFlag, show_json, show_pairs


def networks(json_: JsonFlag = False) -> None:
    """List the targets, sources, data sets and methods that a recipe may name."""
    from sskt_edge.catalogue.data_sets import DATA_SETS
    from sskt_edge.catalogue.methods import METHODS
    from sskt_edge.catalogue.sources import SOURCES
    from sskt_edge.catalogue.targets import TARGETS
    from sskt_edge.cli.console import Console

    everything = {
        "targets": {entry.name: entry.description for entry in TARGETS.values()},
        "sources": {entry.written: entry.description for entry in SOURCES.values()},
        "data sets": {entry.name: entry.description for entry in DATA_SETS.values()},
        "methods": {entry.name: entry.description for entry in METHODS.values()},
    }
    if json_:
        show_json(everything)
        return
    console = Console()
    for title, rows in everything.items():
        console.print(title, style="bold")
        show_pairs(console, rows)
        console.print()

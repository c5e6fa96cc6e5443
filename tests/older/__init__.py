"""What earlier versions wrote, as they wrote it: bundles of schema 2 and 3, runs of version 1 and 2, stored labels."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

HERE = Path(__file__).parent
BUNDLES = ("bundle_schema2", "bundle_schema3")
RUNS = ("run_version1", "run_version2")


def unpacked(name: str, folder: Path) -> Path:
    """An artefact in a folder of its own below `folder`; of a run, named as its bundle knows it."""
    path = folder / ("older" if name in RUNS else name)
    with ZipFile(HERE / f"{name}.zip") as archive:
        archive.extractall(path)
    return path

"""The file layout of a run's folder, and the runs in a folder. This module does not read any file of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sskt_edge.common.errors import RunError
from sskt_edge.common.seal import carries_hash, unprotected
from sskt_edge.common.shell import command


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run's folder."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe as it was run, with every default written out."""
        return self.path / "recipe.toml"

    @property
    def environment(self) -> Path:
        """Versions, device, precision."""
        return self.path / "environment.json"

    @property
    def images(self) -> Path:
        """The training images, one file per line, so that a resumed run can say which of them changed."""
        return self.path / "images.tsv"

    @property
    def metrics(self) -> Path:
        """The metrics: one JSON object per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """The log: every message with its time."""
        return self.path / "log.txt"

    @property
    def last(self) -> Path:
        """The training state to resume from."""
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """The state with the best validation accuracy."""
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def primary(self) -> Path:
        """The stripped network's weights."""
        return self.path / "primary.safetensors"

    @property
    def probe(self) -> Path:
        """The probe, if the method fits one."""
        return self.path / "probe.safetensors"

    @property
    def golden(self) -> Path:
        """Test images and the logits that were recorded before the branches were stripped."""
        return self.path / "golden.safetensors"

    @property
    def result(self) -> Path:
        """The result, which is written last."""
        return self.path / "result.json"

    def unprotected(self, *files: Path) -> list[str]:
        """A sentence for each of these files that exists and carries no hash of its own."""
        found = [file for file in files if file.is_file() and not carries_hash(file.read_bytes())]
        return [unprotected(f"'{file}'") for file in found]


def find_runs(runs: Path) -> list[RunFolder]:
    """The runs in a folder, newest first."""
    found = [RunFolder(recipe.parent) for recipe in runs.glob("*/recipe.toml") if recipe.parent.name[0] != "."]
    return sorted(found, key=lambda run: (run.recipe.stat().st_mtime_ns, run.path.name), reverse=True)


def find_newest_run(runs: Path) -> Path:
    """The newest finished run.

    Raises:
        RunError: there is none.
    """
    found = find_runs(runs)
    for run in found:
        if run.result.is_file():
            return run.path
    if found:
        raise RunError(
            f"No finished run in '{runs}'; '{found[0].path}' was not finished. "
            f"Continue with: {command('train', found[0].path, '--resume')}"
        )
    raise RunError(f"No run in '{runs}'. Make one: sskt-edge train RECIPE; the shipped recipes: sskt-edge recipe list.")

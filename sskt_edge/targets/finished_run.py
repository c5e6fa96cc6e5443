"""The records of a finished run. Nothing here needs torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sskt_edge.bundle.golden import Golden, golden_from_bytes
from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.common.artefacts import what_it_is
from sskt_edge.common.errors import BundleError, RunError, nearest
from sskt_edge.common.shell import command
from sskt_edge.data.inputs.input import input_of
from sskt_edge.recipe.models import Recipe
from sskt_edge.targets import older_result
from sskt_edge.targets.records import read_recipe, read_record, write_record
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.tasks.score import Score
from sskt_edge.tasks.task import Task, task_named


class NetworkCost(BaseModel):
    """The parameters of a network, and its multiply-accumulates for one image."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    parameters: int
    macs: int


class RunResult(BaseModel):
    """result.json, written last: a run that has it is finished.

    `recipe_file_sha256` is the hash of recipe.toml as a file; None in a result of an older version. `licenses` has the
    licenses of the sources' weights, where they are known. `validation` is the best value of the task's metric on the
    validation images. `probes` has the held-out score of each probe that was fitted, by the names of its sources; the
    target learned from the first, whose file has the hash `probe_sha256`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    classes: tuple[str, ...]
    recipe_sha256: str
    recipe_file_sha256: str | None = None
    data_sha256: str
    unlabelled_sha256: str | None = None
    sources: dict[str, str]
    licenses: dict[str, str] = {}
    kept: str  # "last" or "best"
    kept_epoch: int
    task: str
    test: Score
    validation: float | None
    primary: NetworkCost
    branches: NetworkCost
    primary_sha256: str
    golden_sha256: str
    skipped_images: int
    data_notes: tuple[str, ...] = ()  # how the folder of images was read, and what was left out
    seconds: float  # the training took
    label_seconds: float  # querying the sources before it took
    probe_sha256: str | None = None
    probes: dict[str, Score] = {}
    reference: dict[str, str]  # the versions and the processor that the golden logits were computed with


@dataclass(frozen=True)
class FinishedRun:
    """The records of a finished run: everything but its network.

    Attributes:
        folder: its folder.
        recipe: the recipe as it was run.
        result: the content of result.json.
    """

    folder: RunFolder
    recipe: Recipe
    result: RunResult

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return self.result.classes

    @property
    def task(self) -> Task:
        """The task that says what its labels mean."""
        return task_named(self.result.task)

    @property
    def kind(self) -> str:
        """The kind of the network's input, such as "image"."""
        return DATA_SETS[self.recipe.data.name].input

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image of the network's input, channels last: (S,S,3)."""
        return input_of(self.recipe.data.name).shape(self.recipe.data.image_size)

    @property
    def weights_sha256(self) -> str:
        """The hash of the stripped weights' file."""
        return self.result.primary_sha256

    def golden(self) -> Golden:
        """The golden images with the logits that were recorded before stripping.

        Raises:
            RunError: the file is missing or changed.
        """
        content = _read_unchanged(self.folder.golden, self.result.golden_sha256)
        try:
            return golden_from_bytes(content, self.shape, len(self.classes), self.task)
        except BundleError as error:
            raise RunError(f"'{self.folder.golden}': {error}") from error

    def weights(self) -> bytes:
        """The content of the stripped weights' file.

        Raises:
            RunError: it is missing or was changed.
        """
        return _read_unchanged(self.folder.primary, self.result.primary_sha256)


def read_finished(path: Path | str) -> FinishedRun:
    """Read the records of a finished run.

    Raises:
        RunError: the folder holds no run, the run is not finished, or a record is missing or was changed.
    """
    path = Path(path)
    folder = RunFolder(path)
    if not folder.recipe.is_file():
        todo = what_it_is(path) or f"It has no recipe.toml. {_nearby(path)}Make one: sskt-edge train RECIPE."
        raise RunError(f"No run at '{path}'. {todo}")
    if not folder.result.is_file():
        raise RunError(f"The run '{path}' is not finished. Continue with: {command('train', path, '--resume')}")
    result = read_record(
        folder.result,
        RunResult,
        "Train again, or copy the run again.",
        older_result.VERSION,
        older_result.today_from_older,
    )
    recipe = read_recipe(folder, result.recipe_file_sha256)
    return FinishedRun(folder, recipe, result)


def write_result(folder: RunFolder, result: RunResult) -> None:
    """Write the result of a run, which marks it as finished.

    Raises:
        StorageError: it cannot be written.
    """
    write_record(folder.result, result, older_result.VERSION)


def _read_unchanged(file: Path, sha256: str) -> bytes:
    """The content of a file, read once, so that the bytes that were hashed are the bytes that are used."""
    if not file.is_file():
        raise RunError(f"'{file}' is missing. Train again, or copy the run again.")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RunError(f"'{file}' was changed after training: its SHA-256 differs. Train again, or copy the run again.")
    return content


def _nearby(path: Path) -> str:
    around = path.parent.iterdir() if path.parent.is_dir() else []
    return nearest(path.name, sorted(other.name for other in around if other != path))

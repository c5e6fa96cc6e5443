"""Does a bundle answer on this machine as the network did that was trained, and how right is it?

Every file is run by everything here that takes it.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.bundle.golden import pixel_hashes
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.version import __version__
from sskt_edge.evaluation.bench import Subject, quick_latency
from sskt_edge.evaluation.labelled_files import LabelledFiles, read_labelled
from sskt_edge.evaluation.parity import Parity, compare_logits
from sskt_edge.evaluation.verdict import verdict
from sskt_edge.inference.open_sessions import OpenSession, OpenSessions
from sskt_edge.inference.session import run_batches
from sskt_edge.machine.conditions import Conditions, conditions
from sskt_edge.recipe.table import TableOptions
from sskt_edge.tasks.task import Labels, Scores


@dataclass(frozen=True, eq=False)
class SessionResult:
    """One precision, run by one library.

    Attributes:
        precision: its name in the bundle.
        runner: what ran it, such as "onnxruntime-cpu".
        versions: of the libraries that took part.
        scores: how right it is.
        parity: against the trained network's logits, on the images that `Report.parity_on` names.
        latency_ms: the median of one image; None where it was not timed.
        reasons: why it did not pass; empty if it did.
        undecided: what the images are too few to tell.
    """

    precision: str
    runner: str
    versions: dict[str, str]
    scores: Scores
    parity: Parity
    latency_ms: float | None
    reasons: list[str]
    undecided: list[str]

    @property
    def name(self) -> str:
        """Such as "fp32 onnxruntime-cpu"."""
        return f"{self.precision} {self.runner}"

    def as_json(self) -> dict[str, Any]:
        """What as_json makes JSON of."""
        return {**vars(self), "passed": not self.reasons}


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found.

    Attributes:
        bundle: the bundle's name.
        data: "golden", or the folder or table that was read: the images that the metric counts.
        parity_on: "golden", or the same where the bundle knows images of it: the images that parity is judged on.
        task: what the labels mean.
        classes: the class names, for the numbers in the scores.
        results: one for each precision and what ran it.
        unavailable: what could not be opened here, and why.
        notes: what a reader should know.
        conditions: the machine.
        versions: of this tool, of Python and of what reads the images; those of the libraries stand in `results`.
    """

    bundle: str
    data: str
    parity_on: str
    task: str
    classes: tuple[str, ...]
    results: tuple[SessionResult, ...]
    unavailable: dict[str, str]
    notes: list[str]
    conditions: Conditions
    versions: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether everything that was run answers as the trained network did."""
        return not any(result.reasons for result in self.results)

    @property
    def decided(self) -> bool:
        """Whether the images were enough to judge everything that was run."""
        return not any(result.undecided for result in self.results)

    @property
    def fastest(self) -> SessionResult | None:
        """The one that passed and takes the least time for one image."""
        timed = [result for result in self.results if not result.reasons and result.latency_ms is not None]
        return min(timed, key=lambda result: result.latency_ms or 0.0, default=None)

    def as_json(self) -> dict[str, Any]:
        """What as_json makes JSON of."""
        return {**vars(self), "fastest": self.fastest.name if self.fastest else None, "passed": self.passed}


@dataclass(frozen=True, eq=False)
class _Questions:
    """The images, and what the bundle knows of them.

    Attributes:
        data: "golden", or the folder or table.
        images: uint8 [N,*shape].
        labels: as the task has them.
        known: the places of the images of which the trained network's logits are known; none: parity is judged on the
            golden images.
        logits: float32 [K,C], those logits.
        whole: they are the whole test set.
        notes: what a reader should know.
    """

    data: str
    images: npt.NDArray[np.uint8]
    labels: Labels
    known: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    whole: bool
    notes: list[str]


def evaluate(bundle: Bundle, sessions: OpenSessions, progress: Progress = QUIET) -> Report:
    """Run the golden images by all that was opened: parity with the trained network, and the task's metric."""
    golden = bundle.golden()
    known = np.arange(len(golden.labels))
    asked = _Questions("golden", golden.images, golden.labels, known, golden.logits, False, [])
    return _report(bundle, sessions, asked, progress)


def evaluate_data(
    bundle: Bundle,
    sessions: OpenSessions,
    data: Path,
    table: TableOptions | None = None,
    skip_bad: bool = False,
    progress: Progress = QUIET,
) -> Report:
    """Run image files with labels: the task's metric, and parity on each image of the bundle's test set among them.

    Where none of the images is known, as with another JPEG decoder, parity is judged on the golden images instead.

    Args:
        bundle: what to evaluate.
        sessions: its sessions.
        data: a folder of class sub-folders, or a table; see `read_labelled`.
        table: which of a table's columns is what.
        skip_bad: leave out images that cannot be read.
        progress: draws the bars.

    Raises:
        InputError, DataError: as `read_labelled`.
    """
    found = read_labelled(bundle, data, table or TableOptions(), skip_bad, progress)
    asked = _questions(bundle, found)
    asked.notes.extend(found.notes)
    return _report(bundle, sessions, asked, progress)


def _questions(bundle: Bundle, found: LabelledFiles) -> _Questions:
    """A user's images; those that the bundle knows are found by their pixels, the others are noted."""
    golden, (data, images, labels, _) = bundle.golden(), found
    place = {row.tobytes(): number for number, row in enumerate(golden.test_pixels)}
    labelled = zip(golden.test_pixels, golden.test_labels, strict=True)
    pairs = {(row.tobytes(), label.tobytes()) for row, label in labelled}
    digests = [row.tobytes() for row in pixel_hashes(images)]
    here = [number for number, digest in enumerate(digests) if digest in place]
    notes = []
    if not here:
        notes.append(
            f"none of the {len(images)} images is of the bundle's test set: parity is judged on the golden images"
        )
    elif len(here) < len(images):
        notes.append(
            f"{len(images) - len(here)} of {len(images)} images are not of the bundle's test set: "
            f"{bundle.task.metric} counts them, parity does not"
        )
    absent = len(place) - len({digests[number] for number in here})
    if here and absent:
        notes.append(f"{absent} of the {len(place)} images of the bundle's test set are not in '{data}'")
    moved = sum((digests[number], labels[number].tobytes()) not in pairs for number in here)
    if moved:
        notes.append(f"{moved} images have other labels here than at export")
    known = np.array(here, dtype=np.int64)
    logits = golden.test_logits[[place[digests[number]] for number in here]]
    return _Questions(data, images, labels, known, logits, bool(here) and not absent, notes)


def _report(bundle: Bundle, sessions: OpenSessions, asked: _Questions, progress: Progress) -> Report:
    manifest = bundle.manifest
    results = [_result(bundle, one, asked, progress) for one in sessions.opened]
    subjects = [
        Subject(one.name, one.session)
        for one, result in zip(sessions.opened, results, strict=True)
        if not result.scores.not_finite
    ]
    seconds = quick_latency(subjects, asked.images[:64], progress) if subjects else {}
    return Report(
        bundle=manifest.name,
        data=asked.data,
        parity_on=asked.data if len(asked.known) else "golden",
        task=manifest.task,
        classes=tuple(manifest.classes),
        results=tuple(
            replace(result, latency_ms=seconds[result.name] * 1e3) if result.name in seconds else result
            for result in results
        ),
        unavailable=sessions.unavailable,
        notes=[
            *asked.notes,
            *bundle.notes,
            *(f"refused at export: {name}: {why}" for name, why in manifest.refused.items()),
        ],
        conditions=conditions(),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    return {
        "sskt-edge": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


def _result(bundle: Bundle, one: OpenSession, asked: _Questions, progress: Progress) -> SessionResult:
    manifest, task = bundle.manifest, bundle.task
    classes = len(manifest.classes)
    logits = run_batches(one.session, asked.images, manifest.input.batch.opt, classes, progress)
    found = task.scores(logits, asked.labels, classes)
    expected, own, drop = asked.logits, logits[asked.known], None
    if asked.whole:
        drop = task.drop(expected, own, asked.labels[asked.known])
    if not len(asked.known):
        golden = bundle.golden()
        expected, own = golden.logits, run_batches(one.session, golden.images, manifest.input.batch.opt, classes)
    parity = compare_logits(expected, own, task)
    reasons, undecided = verdict(one.precision, one.runner.name, parity, manifest.parity, task, drop)
    if not reasons and found.not_finite:
        reasons.append(f"{found.not_finite} of {found.images} images have logits that are not finite numbers")
    return SessionResult(one.precision, one.runner.name, one.session.versions, found, parity, None, reasons, undecided)

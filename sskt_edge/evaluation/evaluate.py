"""Compare a bundle's answers on this machine with the trained network's, and score them.

Every file is run by every available runner that accepts it.
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
        scores: the scores of its answers.
        parity: the comparison with the trained network's logits, on the images that `Report.parity_on` names.
        latency_ms: the median latency of one image; None if it was not timed.
        reasons: why it did not pass; empty if it did.
        undecided: the checks for which there are too few images.
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
        """The values that are converted to JSON."""
        return {**vars(self), "passed": not self.reasons}


@dataclass(frozen=True, eq=False)
class Report:
    """The results of an evaluation.

    Attributes:
        bundle: the bundle's name.
        data: the images for the metric: "golden", or the folder or table that was read.
        parity_on: the images for parity: "golden", or the same as `data` if the bundle knows some of those images.
        task: what the labels mean.
        classes: the class names, for the class numbers in the scores.
        results: one for each precision and runner.
        unavailable: what could not be opened here, and why.
        notes: notes for the reader.
        conditions: the state of the machine.
        versions: of this tool, of Python and of the image reader; those of the libraries are in `results`.
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
        """Whether everything that was run agrees with the trained network."""
        return not any(result.reasons for result in self.results)

    @property
    def decided(self) -> bool:
        """Whether there were enough images to judge everything that was run."""
        return not any(result.undecided for result in self.results)

    @property
    def fastest(self) -> SessionResult | None:
        """The result that passed and takes the least time for one image."""
        timed = [result for result in self.results if not result.reasons and result.latency_ms is not None]
        return min(timed, key=lambda result: result.latency_ms or 0.0, default=None)

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        return {**vars(self), "fastest": self.fastest.name if self.fastest else None, "passed": self.passed}


@dataclass(frozen=True, eq=False)
class _Questions:
    """The images, and what the bundle knows about them.

    Attributes:
        data: "golden", or the folder or table.
        images: uint8 [N,*shape].
        labels: their labels, in the task's form.
        known: the indices of the images for which the trained network's logits are known; if empty, parity is judged
            on the golden images.
        logits: float32 [K,C], those logits.
        whole: whether they are the whole test set.
        notes: notes for the reader.
    """

    data: str
    images: npt.NDArray[np.uint8]
    labels: Labels
    known: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    whole: bool
    notes: list[str]


def evaluate(bundle: Bundle, sessions: OpenSessions, progress: Progress = QUIET) -> Report:
    """Run the golden images on all open sessions, for parity with the trained network and for the task's metric."""
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
    """Run labelled image files, for the task's metric and for parity on those that are in the bundle's test set.

    If none of the images is known, as with another JPEG decoder, parity is judged on the golden images instead.

    Args:
        bundle: the bundle to evaluate.
        sessions: its sessions.
        data: a folder of class sub-folders, or a table; see `read_labelled`.
        table: the roles of a table's columns.
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
    """A user's images. Those that the bundle knows are found by their pixels; the others are reported in the notes."""
    golden, (data, images, labels, _) = bundle.golden(), found
    place = {row.tobytes(): number for number, row in enumerate(golden.test_pixels)}
    labelled = zip(golden.test_pixels, golden.test_labels, strict=True)
    pairs = {(row.tobytes(), label.tobytes()) for row, label in labelled}
    digests = [row.tobytes() for row in pixel_hashes(images)]
    here = [number for number, digest in enumerate(digests) if digest in place]
    notes = []
    if not here:
        notes.append(
            f"none of the {len(images)} images is in the bundle's test set: parity is judged on the golden images"
        )
    elif len(here) < len(images):
        notes.append(
            f"{len(images) - len(here)} of {len(images)} images are not in the bundle's test set: "
            f"they count for {bundle.task.metric}, not for parity"
        )
    absent = len(place) - len({digests[number] for number in here})
    if here and absent:
        notes.append(f"{absent} of the {len(place)} images in the bundle's test set are not in '{data}'")
    moved = sum((digests[number], labels[number].tobytes()) not in pairs for number in here)
    if moved:
        notes.append(f"{moved} images have other labels now than at export")
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

"""Does a bundle answer on this machine as the network did that was trained, and how right is it?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.errors import DataError
from sskt_edge.runtime.bundle import Bundle
from sskt_edge.runtime.folder import FolderListing, list_classes, load
from sskt_edge.runtime.golden import pixel_hashes
from sskt_edge.runtime.metrics import Scores, scores
from sskt_edge.runtime.parity import Parity, compare
from sskt_edge.runtime.progress import QUIET, Progress
from sskt_edge.runtime.session import Session, run_batches


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found.

    Attributes:
        bundle: the bundle's name.
        data: "golden", or the folder that was read.
        backend: the library that ran the network.
        provider: what it ran on.
        precision: what it computed in.
        versions: the versions of the libraries that took part.
        classes: the class names, for the numbers in `scores`.
        scores: the accuracy.
        parity: against the trained network's logits; None if none of the images is known.
        tolerance: the largest difference that is allowed.
        notes: what a reader should know.
        reasons: why it did not pass; empty if it did.
    """

    bundle: str
    data: str
    backend: str
    provider: str
    precision: str
    versions: dict[str, str]
    classes: tuple[str, ...]
    scores: Scores
    parity: Parity | None
    tolerance: float
    notes: list[str]
    reasons: list[str]

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the bundle."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **vars(self),
            "classes": list(self.classes),
            "scores": self.scores.as_json(),
            "parity": None if self.parity is None else self.parity.as_json(),
            "passed": self.passed,
        }


def evaluate(bundle: Bundle, session: Session, progress: Progress = QUIET) -> Report:
    """Run the golden images: parity with the trained network, and their accuracy."""
    golden = bundle.golden()
    logits = _run(bundle, session, golden.images, progress)
    found = scores(logits, golden.labels, len(bundle.manifest.classes))
    return _report(bundle, session, "golden", found, parity=compare(golden.logits, logits), notes=[])


def evaluate_folder(
    bundle: Bundle, session: Session, data: Path, skip_bad: bool = False, progress: Progress = QUIET
) -> Report:
    """Run a folder of class sub-folders: its accuracy, and parity on each image of the bundle's test set in it.

    Args:
        bundle: what to evaluate.
        session: a session of the bundle.
        data: data/<class>/<image>, or data/test/<class>/<image>.
        skip_bad: leave out images that cannot be read.
        progress: draws the bars.

    Raises:
        DataError: the folder is not of that form, has other classes than the bundle, or an image cannot be read.
    """
    test = data / "test"
    listing = list_classes(test if test.is_dir() and any(path.is_dir() for path in test.iterdir()) else data)
    own = np.array(_own_labels(listing, bundle.manifest.classes), dtype=np.int64)
    side = bundle.manifest.input.height
    loaded = load(listing, [side], skip_bad, progress)
    images, labels = loaded.squares[side], own[loaded.labels]
    logits = _run(bundle, session, images, progress)
    parity, notes = _parity_of_known(bundle, images, labels, logits)
    notes += [f"left out: {message}" for message in loaded.skipped]
    found = scores(logits, labels, len(bundle.manifest.classes))
    return _report(bundle, session, str(listing.root), found, parity=parity, notes=notes)


def _own_labels(listing: FolderListing, classes: list[str]) -> list[int]:
    """For each class of the folder, its number in the bundle."""
    missing = [name for name in classes if name not in listing.classes]
    unknown = [name for name in listing.classes if name not in classes]
    if missing or unknown:
        raise DataError(
            f"'{listing.root}' has other classes than the bundle. Missing here: {', '.join(missing) or 'none'}. "
            f"Unknown to the bundle: {', '.join(unknown) or 'none'}. Name the sub-folders as the bundle's classes."
        )
    return [classes.index(name) for name in listing.classes]


def _parity_of_known(
    bundle: Bundle,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float32],
) -> tuple[Parity | None, list[str]]:
    """Parity on the images that the bundle knows by their pixels, and notes on the others."""
    golden = bundle.golden()
    place = {row.tobytes(): number for number, row in enumerate(golden.test_pixels)}
    pairs = {(row.tobytes(), int(label)) for row, label in zip(golden.test_pixels, golden.test_labels, strict=True)}
    digests = [row.tobytes() for row in pixel_hashes(images)]
    here = [number for number, digest in enumerate(digests) if digest in place]
    notes = []
    if len(here) < len(images):
        notes.append(
            f"{len(images) - len(here)} of {len(images)} images are not of the bundle's test set: "
            "accuracy counts them, parity does not"
        )
    absent = len(place) - len({digests[number] for number in here})
    if absent:
        notes.append(f"{absent} of the {len(place)} images of the bundle's test set are not in this folder")
    moved = sum((digests[number], int(labels[number])) not in pairs for number in here)
    if moved:
        notes.append(f"{moved} images have another class here than at export")
    if not here:
        return None, notes
    return compare(golden.test_logits[[place[digests[number]] for number in here]], logits[here]), notes


def _run(
    bundle: Bundle, session: Session, images: npt.NDArray[np.uint8], progress: Progress
) -> npt.NDArray[np.float32]:
    return run_batches(session, images, bundle.manifest.input.batch.opt, len(bundle.manifest.classes), progress)


def _report(
    bundle: Bundle, session: Session, data: str, found: Scores, *, parity: Parity | None, notes: list[str]
) -> Report:
    tolerance = bundle.manifest.parity.fp32_max_abs
    reasons = [] if parity is None else parity.reasons(tolerance)
    if not reasons and found.not_finite:
        reasons.append(f"{found.not_finite} of {found.images} images have logits that are not finite numbers")
    return Report(
        bundle=bundle.manifest.name,
        data=data,
        backend=session.backend,
        provider=session.provider,
        precision=session.precision,
        versions=session.versions,
        classes=tuple(bundle.manifest.classes),
        scores=found,
        parity=parity,
        tolerance=tolerance,
        notes=notes,
        reasons=reasons,
    )

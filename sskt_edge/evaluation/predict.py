"""Predict the classes of images with a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.bundle.bundle import Bundle
from sskt_edge.common.errors import DataError, SsktEdgeError, WorkError
from sskt_edge.common.printable import printable
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.shell import command
from sskt_edge.images.listing import list_images
from sskt_edge.images.read import reader_of
from sskt_edge.inference.session import Session, run_batches
from sskt_edge.tasks.task import Predicted


@dataclass(frozen=True)
class Prediction:
    """The prediction for an image.

    Attributes:
        path: the file of the image, or a folder that has no images.
        classes: the likeliest classes, the likeliest first, and all that the network decides on; empty if there is an
            error.
        error: why the prediction failed.
    """

    path: Path
    classes: tuple[Predicted, ...] = ()
    error: SsktEdgeError | None = None

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        if self.error is None:
            return {
                "image": self.path,
                "classes": {one.name: one.probability for one in self.classes},
                "decided": [one.name for one in self.classes if one.is_decided],
            }
        return {"image": self.path, "error": {"kind": type(self.error).__name__, "message": self.error}}


def predict(
    bundle: Bundle, session: Session, paths: Sequence[Path], top: int = 5, progress: Progress = QUIET
) -> list[Prediction]:
    """Predict the `top` classes of each image. An image that fails does not affect the others.

    Args:
        bundle: the bundle, which names the classes.
        session: a session of the bundle.
        paths: images and folders; a folder stands for all images below it, sorted.
        top: the number of classes; all that the network decides on are returned even if they are more.
        progress: draws the bar "images", and reports what is ignored in a folder.

    Raises:
        InputError: files cannot be read for the bundle's kind of input.
    """
    reader_of(bundle.manifest.input.kind)
    found = _images_of(paths, progress)
    batch = bundle.manifest.input.batch.opt
    with progress.bar("images", len(found)) as bar:
        # Images are read a batch at a time, so that thousands need no more memory than a few.
        for start in range(0, len(found), batch):
            part = slice(start, start + batch)
            found[part] = _predicted(bundle, session, found[part], top)
            bar.advance(len(found[part]))
    return found


def _images_of(paths: Sequence[Path], progress: Progress) -> list[Prediction]:
    """The images to predict, and an error for each folder without any; what is ignored in a folder is reported."""
    found: list[Prediction] = []
    for path in paths:
        try:
            if path.is_dir():
                listing = list_images(path)
                found += map(Prediction, listing.paths)
                for note in listing.left_out.notes(f"'{printable(path)}': "):
                    progress.say(note)
            else:
                found.append(Prediction(path))
        except DataError as error:
            found.append(Prediction(path, error=error))
    return found


def _predicted(bundle: Bundle, session: Session, asked: Sequence[Prediction], top: int) -> list[Prediction]:
    """The same images in order, each with its classes or its error."""
    takes, answers = bundle.manifest.input, list(asked)
    reader = reader_of(takes.kind)
    images: dict[int, npt.NDArray[np.uint8]] = {}
    for place, one in enumerate(asked):
        try:
            if one.error is None:
                images[place] = reader.read(one.path, takes.shape)
        except DataError as error:
            answers[place] = Prediction(one.path, error=error)
    if images:
        logits = run_batches(session, np.stack(list(images.values())), takes.batch.opt, len(bundle.manifest.classes))
        for place, row in zip(images, logits.astype(np.float64), strict=True):
            answers[place] = _answer(bundle, asked[place].path, row, top)
    return answers


def _answer(bundle: Bundle, path: Path, logits: npt.NDArray[np.float64], top: int) -> Prediction:
    """The prediction from an image's logits, float64 [C]."""
    if not np.isfinite(logits).all():
        check = command("eval", bundle.path)
        return Prediction(
            path, error=WorkError(f"The network's logits for '{path}' are not finite. Check the bundle: {check}")
        )
    classes = bundle.manifest.classes
    found = bundle.task.predicted(logits, classes)
    return Prediction(path, tuple(one for place, one in enumerate(found) if place < top or one.is_decided))

"""Check that the data sets of a study still hold the images that its finished runs have seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sskt_edge.bundle.golden import pixel_hashes
from sskt_edge.common.errors import StudyError
from sskt_edge.common.progress import Progress
from sskt_edge.data.images import labelled_sha256, unlabelled_sha256
from sskt_edge.data.readers import open_data
from sskt_edge.recipe.models import DataOptions
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.tasks.task import Labels, Task

TRAINING, TEST, UNLABELLED = "the training images", "the test images", "the unlabelled images"


def tested_sha256(pixels: NDArray[np.uint8], labels: Labels) -> str:
    """The hash that identifies test images: of their pixels' hashes, uint8 [N,32], and their labels [N], in order."""
    return hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()


def seen_by(run: TrainedNetwork) -> dict[str, str]:
    """TRAINING, TEST and, if there are any, UNLABELLED → the hash of what a run was trained and tested on."""
    result, golden = run.result, run.golden()
    seen = {TRAINING: result.data_sha256, TEST: tested_sha256(golden.test_pixels, golden.test_labels)}
    if result.unlabelled_sha256 is not None:  # a run from scratch reads none; not a change
        seen[UNLABELLED] = result.unlabelled_sha256
    return seen


class DataGuard:
    """Reads the images of a study's data sets again when a run was finished earlier, each set only once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._known: dict[tuple[DataOptions, str], dict[str, str]] = {}

    def check_unchanged(
        self, data: DataOptions, task: Task, then: Mapping[str, str], since: str, otherwise: str
    ) -> None:
        """Refuse images that changed since a run was trained and tested on them.

        Args:
            data: the recipe's [data].
            task: the task that says what its labels mean.
            then: TRAINING, TEST or UNLABELLED → the hash of what the run saw; missing entries are not checked.
            since: what happened at that time, for the message.
            otherwise: what to do if the changed images shall stay, for the message.

        Raises:
            StudyError: images changed since then; the message says which.
            DataError: they no longer exist, or cannot be read.
        """
        now = self._known.setdefault((data, task.name), {})
        for what, read in {TRAINING: self._training, TEST: self._test, UNLABELLED: self._unlabelled}.items():
            if what not in then:
                continue
            if what not in now:
                now[what] = read(data, task)
            if now[what] != then[what]:
                raise StudyError(f"{what[0].upper()}{what[1:]} changed since {since}. Put them back, or {otherwise}.")

    def _training(self, data: DataOptions, task: Task) -> str:
        reader = open_data(data, task)
        return labelled_sha256(reader.classes, *reader.training([data.image_size], self._progress))

    def _test(self, data: DataOptions, task: Task) -> str:
        images = open_data(data, task).test([data.image_size], self._progress)
        return tested_sha256(pixel_hashes(images.resized[data.image_size]), images.labels)

    def _unlabelled(self, data: DataOptions, task: Task) -> str:
        images = open_data(data, task).unlabelled([data.image_size], self._progress)
        return "none" if images is None else unlabelled_sha256(images)

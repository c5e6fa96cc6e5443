"""Images with the trained network's answers, with which every precision is compared; and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.bundle.golden import Golden, pixel_hashes
from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import Progress
from sskt_edge.data.images import ImageSet, labelled_sha256, unlabelled_sha256
from sskt_edge.data.readers import Reader, open_data
from sskt_edge.data.split import rank
from sskt_edge.evaluation.parity import Parity, compare_logits
from sskt_edge.inference.runners import Runner
from sskt_edge.inference.session import run_batches
from sskt_edge.targets.finished_run import FinishedRun
from sskt_edge.tasks.task import Drop, Labels, Task


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """N images and what is right.

    Attributes:
        images: uint8 [N,*shape].
        labels: as the task has them; none where an image has none that may be used.
        logits: float32 [N,classes], the trained network's.
        batch: how many are run at once.
        task: what the labels mean.
    """

    images: NDArray[np.uint8]
    labels: Labels
    logits: NDArray[np.float32]
    batch: int
    task: Task

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return self.images.shape[1:]

    def first(self, count: int) -> EvaluationSet:
        """The first `count` images."""
        return EvaluationSet(self.images[:count], self.labels[:count], self.logits[:count], self.batch, self.task)

    def answers(self, content: bytes, runner: Runner) -> NDArray[np.float32]:
        """What an ONNX file answers to the images, by a runner. float32 [N,classes]."""
        session = runner.open(content, self.shape, self.batch)
        return run_batches(session, self.images, self.batch, self.logits.shape[1])

    def parity(self, answers: NDArray[np.float32]) -> Parity:
        """How far answers are from the trained network's. float32 [N,classes]."""
        return compare_logits(self.logits, answers, self.task)

    def drop(self, answers: NDArray[np.float32]) -> Drop | None:
        """What answers cost of the metric on the images with labels; None without any. float32 [N,classes]."""
        known = self.task.known(self.labels)
        if not known.any():
            return None
        return self.task.drop(self.logits[known], answers[known], self.labels[known])


class Images(NamedTuple):
    """What an export looks at.

    Attributes:
        calibration: uint8 [N,*shape], training images.
        hashes: of the calibration images' own contents, in hex.
        search: the calibration images, moved about and without labels, then the validation images with theirs.
        test: the whole test set.
    """

    calibration: NDArray[np.uint8]
    hashes: list[str]
    search: EvaluationSet
    test: EvaluationSet


class Opened(NamedTuple):
    """The images of an export before the trained network was asked about those to search with.

    Attributes:
        calibration, hashes, test: as in `Images`.
        searched: uint8 [N,*shape], the images of `Images.search`.
        labels: of `searched`, as the task has them.
    """

    calibration: NDArray[np.uint8]
    hashes: list[str]
    searched: NDArray[np.uint8]
    labels: Labels
    test: EvaluationSet

    def answered(self, logits: NDArray[np.float32]) -> Images:
        """The same with the trained network's logits of `searched`, float32 [N,classes]."""
        search = EvaluationSet(self.searched, self.labels, logits, self.test.batch, self.test.task)
        return Images(self.calibration, self.hashes, search, self.test)


def open_images(run: FinishedRun, progress: Progress) -> Opened:
    """The images of a run's recipe, compared with what the run saw. None is downloaded: a run may come from others.

    Raises:
        DataError: they are not there, cannot be read, or are others than those of the training.
    """
    recipe = run.recipe
    size = recipe.data.image_size
    reader = open_data(recipe.data, run.task, fetch=False)
    training, validation = reader.training([size], progress)
    if labelled_sha256(reader.classes, training, validation) != run.result.data_sha256:
        raise _changed("training", recipe.data.root)
    unlabelled = _unlabelled(run, reader, progress)
    pool = [training] if unlabelled is None else [training, unlabelled]
    places = [(part.resized[size], row) for part in pool for row in range(len(part))]
    hashes = np.concatenate([part.hashes for part in pool])
    # Drawn by content, the same images every time; by another draw than the one that chose the labelled ones, so that
    # some that the network has not memorised are among them. They stay in that order, so that the first ones are of all
    # classes.
    rows = rank(hashes, recipe.data.split_seed + 1)[: recipe.export.calibration]
    calibration = np.stack([squares[row] for squares, row in (places[place] for place in rows)])
    images, labels = [_moved(calibration)], [run.task.unknown(len(rows), len(run.classes))]
    if validation is not None:
        images.append(validation.resized[size])
        labels.append(validation.labels)
    told = [row.tobytes().hex() for row in hashes[rows]]
    return Opened(calibration, told, np.concatenate(images), np.concatenate(labels), _test(run, reader, progress))


def golden_evaluation_set(run: FinishedRun) -> EvaluationSet:
    """The golden images, for an export where the test set is not at hand."""
    golden = run.golden()
    return EvaluationSet(golden.images, golden.labels, golden.logits, run.recipe.export.batch.max, run.task)


def _moved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each image moved by up to a quarter of its side, with black in the place that it leaves. uint8 [N,…,S,S,3].

    What a network has memorised lies far from every border between classes: of 500 training images MobileNetV2 in
    int8 changed none, of the same ones moved 3.6 %, of the test set 4.9 %.
    """
    count, side = len(images), images.shape[-2]
    most = side // 4
    padded = np.pad(images, (*((0, 0),) * (images.ndim - 3), (most, most), (most, most), (0, 0)))
    places = np.random.default_rng(0).integers(0, 2 * most + 1, (count, 2))
    return np.stack([image[..., y : y + side, x : x + side, :] for image, (y, x) in zip(padded, places, strict=True)])


def _unlabelled(run: FinishedRun, reader: Reader, progress: Progress) -> ImageSet | None:
    if run.result.unlabelled_sha256 is None:
        return None
    found = reader.unlabelled([run.recipe.data.image_size], progress)
    if found is None or unlabelled_sha256(found) != run.result.unlabelled_sha256:
        raise _changed("unlabelled", run.recipe.data.unlabelled)
    return found


def _test(run: FinishedRun, reader: Reader, progress: Progress) -> EvaluationSet:
    size = run.recipe.data.image_size
    golden: Golden = run.golden()
    test = reader.test([size], progress)
    images = test.resized[size]
    if not np.array_equal(pixel_hashes(images), golden.test_pixels) or not np.array_equal(
        test.labels, golden.test_labels
    ):
        raise _changed("test", run.recipe.data.root)
    return EvaluationSet(images, test.labels, golden.test_logits, run.recipe.export.batch.max, run.task)


def _changed(which: str, root: str) -> DataError:
    return DataError(
        f"The {which} images in '{root}' are not those of the training, or another version of sskt-edge read them. "
        f"Put them back, or export without them: --precision fp32"
    )


def calibration_list(hashes: list[str]) -> bytes:
    """The content of calibration.txt: the SHA-256 of each calibration image's own content, a line each."""
    return "".join(f"{one}\n" for one in hashes).encode()

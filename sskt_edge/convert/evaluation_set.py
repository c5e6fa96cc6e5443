"""The images and the trained network's answers that every precision is compared with, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sskt_edge.bundle.golden import Golden, pixel_hashes
from sskt_edge.common.errors import DataError, NetworkError
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
    """N images with their labels and the trained network's logits.

    Attributes:
        images: uint8 [N,*shape].
        labels: the labels in the task's form; `task.unknown` for images without a label that may be used.
        logits: float32 [N,classes], the trained network's.
        batch: how many images are run at once.
        task: the task that says what the labels mean.
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
        """The shape of one image."""
        return self.images.shape[1:]

    def first(self, count: int) -> EvaluationSet:
        """The first `count` images."""
        return EvaluationSet(self.images[:count], self.labels[:count], self.logits[:count], self.batch, self.task)

    def answers(self, content: bytes, runner: Runner) -> NDArray[np.float32]:
        """The answers of an ONNX file to the images, run by `runner`. float32 [N,classes].

        Raises:
            NetworkError: the runner's library does not support the network.
        """
        try:
            session = runner.open(content, self.shape, self.batch)
        except NetworkError as error:
            raise NetworkError(f"{runner.name}: {error}") from error
        return run_batches(session, self.images, self.batch, self.logits.shape[1])

    def parity(self, answers: NDArray[np.float32]) -> Parity:
        """The distance of answers, float32 [N,classes], from the trained network's."""
        return compare_logits(self.logits, answers, self.task)

    def drop(self, answers: NDArray[np.float32]) -> Drop | None:
        """How much answers, float32 [N,classes], reduce the metric on the images with labels; None without labels."""
        known = self.task.known(self.labels)
        if not known.any():
            return None
        return self.task.drop(self.logits[known], answers[known], self.labels[known])


class Images(NamedTuple):
    """The images that an export uses.

    Attributes:
        calibration: uint8 [N,*shape], training images.
        hashes: the hashes of the calibration images' contents, in hex.
        search: the calibration images, shifted and without labels, then the validation images with their labels.
        test: the whole test set.
    """

    calibration: NDArray[np.uint8]
    hashes: list[str]
    search: EvaluationSet
    test: EvaluationSet


class Opened(NamedTuple):
    """The images of an export, before the trained network has answered the search images.

    Attributes:
        calibration, hashes, test: as in `Images`.
        searched: uint8 [N,*shape], the images of `Images.search`.
        labels: the labels of `searched` in the task's form.
    """

    calibration: NDArray[np.uint8]
    hashes: list[str]
    searched: NDArray[np.uint8]
    labels: Labels
    test: EvaluationSet

    def answered(self, logits: NDArray[np.float32]) -> Images:
        """Add the trained network's logits of `searched`, float32 [N,classes]."""
        search = EvaluationSet(self.searched, self.labels, logits, self.test.batch, self.test.task)
        return Images(self.calibration, self.hashes, search, self.test)


def open_images(run: FinishedRun, progress: Progress) -> Opened:
    """Open the images of a run's recipe and check that they are those that the run saw.

    Nothing is downloaded, since a run may come from somebody else.

    Raises:
        DataError: they are missing, cannot be read, or are not those of the training.
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
    # The draw is by content, so that it gives the same images every time. It differs from the draw of the labelled
    # images, so that it includes some that the network has not memorised. The images stay in the order of the draw, so
    # that the first ones cover all classes.
    rows = rank(hashes, recipe.data.split_seed + 1)[: recipe.export.calibration]
    calibration = np.stack([squares[row] for squares, row in (places[place] for place in rows)])
    images, labels = [_moved(calibration)], [run.task.unknown(len(rows), len(run.classes))]
    if validation is not None:
        images.append(validation.resized[size])
        labels.append(validation.labels)
    told = [row.tobytes().hex() for row in hashes[rows]]
    return Opened(calibration, told, np.concatenate(images), np.concatenate(labels), _test(run, reader, progress))


def golden_evaluation_set(run: FinishedRun) -> EvaluationSet:
    """The golden images, for an export without the test set."""
    golden = run.golden()
    return EvaluationSet(golden.images, golden.labels, golden.logits, run.recipe.export.batch.max, run.task)


def _moved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shift each image by up to a quarter of its side, and fill the gap with black. uint8 [N,…,S,S,3].

    Images that a network has memorised lie far from every decision boundary: MobileNetV2 in int8 changed the decision
    on none of 500 training images, on 3.6 % of the same images when shifted, and on 4.9 % of the test set.
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
    """The content of calibration.txt: the SHA-256 of each calibration image's content, one per line."""
    return "".join(f"{one}\n" for one in hashes).encode()

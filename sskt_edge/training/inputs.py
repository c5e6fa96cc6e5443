"""Open everything that a recipe names, so that errors in it are found before a file is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import Progress
from sskt_edge.data.copies import Copies, find_copies, join_parts
from sskt_edge.data.images import ImageSet, labelled_sha256, unlabelled_sha256
from sskt_edge.data.inputs.input import Input, input_of
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.data.readers import Reader, open_data
from sskt_edge.methods.learner import TaughtBy
from sskt_edge.recipe.models import Recipe, SourceOptions
from sskt_edge.sources.batchnorm import batches_for, recalibrate
from sskt_edge.sources.probe.folds import folds_of
from sskt_edge.sources.source import Source, TorchSource
from sskt_edge.sources.views.source_view import SourceView, source_view
from sskt_edge.sources.zoo import open_source
from sskt_edge.tasks.task import Task, task_named


@dataclass(frozen=True)
class Inputs:
    """The images in memory, and the frozen sources.

    Attributes:
        task: the task that says what the labels mean.
        input_kind: the kind of the data set's items.
        pixels: the target's preprocessing.
        reader: the data set, whose test images have not been read yet.
        images: the training images, in the sizes of the target and of each source view.
        validation: the validation images in the target's size, or None.
        unlabelled: the images whose labels are unknown or not used, or None.
        sources: the sources that take part.
        taught_by: source → the facts about it that a learner needs.
        source_views: source → its view.
        copies: images that are in two parts or in two classes.
    """

    task: Task
    input_kind: Input
    pixels: Pixels
    reader: Reader
    images: ImageSet
    validation: ImageSet | None
    unlabelled: ImageSet | None
    sources: tuple[Source, ...]
    taught_by: dict[str, TaughtBy]
    source_views: dict[str, SourceView]
    copies: Copies

    @property
    def labelled(self) -> dict[str, ImageSet]:
        """The images under "training" and, if there are any, under "validation"."""
        return {"training": self.images} | ({} if self.validation is None else {"validation": self.validation})

    @property
    def licenses(self) -> dict[str, str]:
        """Source → the license of its weights, where its library or package states one."""
        return {source.name: source.license for source in self.sources if source.license}

    def data_sha256(self) -> str:
        """The identity of the training and validation images."""
        return labelled_sha256(self.reader.classes, self.images, self.validation)

    def unlabelled_sha256(self) -> str | None:
        """The identity of the unlabelled images; None without them."""
        return None if self.unlabelled is None else unlabelled_sha256(self.unlabelled)


def open_inputs(recipe: Recipe, device: torch.device, progress: Progress) -> Inputs:
    """Find the data, open the sources, decode the training images, and recalibrate BatchNorm if the recipe says so.

    Raises:
        InputError: something is missing or does not fit.
        DownloadError: published weights or data could not be fetched.
    """
    task = task_named(recipe.task.name)
    reader = open_data(recipe.data, task)
    sources = _open_sources(recipe.active_sources, device, progress)
    taught_by = {
        part.name: TaughtBy(source.classes, part.alpha)
        for part, source in zip(recipe.active_sources, sources, strict=True)
    }
    size = recipe.data.image_size
    source_views = {
        part.name: source_view(part.view, source.input_size, reader.own_size, size)
        for part, source in zip(recipe.active_sources, sources, strict=True)
    }
    needed = list(dict.fromkeys([size, *(view.size for view in source_views.values())]))
    images, validation = reader.training(needed, progress)
    task.check(images.labels, len(reader.classes))
    if len(images) < 2:
        raise DataError(f"data: got {len(images)} training image, but BatchNorm needs at least two. Add images.")
    if recipe.method.fits_probe:
        folds_of(task, images, reader.classes)  # a class with too few images is found before any label is queried
    if validation is not None and not task.class_counts(validation.labels, len(reader.classes)).any():
        raise DataError(
            f"data.validation: none of its {len(validation)} images has a class, so they cannot choose anything. "
            "Use more images for it, or leave it out."
        )
    test = reader.test_contents(progress)
    copies = find_copies(join_parts({"training": images, "validation": validation, "test": test}))
    unlabelled = reader.unlabelled(needed, progress) if sources else None
    for part, source in zip(recipe.active_sources, sources, strict=True):
        # ONNX sources do not get here: with recalibration they are refused when they are opened.
        if part.batchnorm == "recalibrated" and isinstance(source, TorchSource):
            resized = images.resized[source_views[source.name].size]
            recalibrate(source, _in_batches(resized, recipe.labels.batch_size, source.name, progress))
    kind = input_of(recipe.data.name)
    pixels = kind.preprocess(size, recipe.target.mean, recipe.target.std)
    return Inputs(task, kind, pixels, reader, images, validation, unlabelled, sources, taught_by, source_views, copies)


def _open_sources(parts: Sequence[SourceOptions], device: torch.device, progress: Progress) -> tuple[Source, ...]:
    opened = []
    with progress.bar("open sources", len(parts)) as bar:
        for part in parts:
            opened.append(open_source(part, device))
            bar.advance()
    for source in opened:
        if source.remark:
            progress.say(f"{source.name}: {source.remark}")
    return tuple(opened)


def _in_batches(images: NDArray[np.uint8], size: int, name: str, progress: Progress) -> Iterator[NDArray[np.uint8]]:
    """The images in batches, with a bar."""
    with progress.bar(f"{name}, BatchNorm", len(images)) as bar:
        for batch in batches_for(images, size):
            yield batch
            bar.advance(len(batch))

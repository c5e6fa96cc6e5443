"""The folds of a cross-validation, in which all views of an image, and its copies, stay together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import DataError
from sskt_edge.data.images import ImageSet
from sskt_edge.data.split import content_groups, rank
from sskt_edge.tasks.task import Labels, Task

MOST_FOLDS = 5


def folds_of(task: Task, images: ImageSet, classes: Sequence[str]) -> NDArray[np.intp]:
    """The fold of each image, [N]; -1 for an image without a label. Every class is dealt out evenly.

    There are MOST_FOLDS folds, or as many as the smallest class has images. An image's fold depends only on the
    contents of the images, not on their order.

    Raises:
        DataError: a class has fewer than two different images.
    """
    few = too_few(task, images.labels, images.hashes, classes)
    if few:
        raise DataError(
            f"method.name = 'probe' needs at least two different labelled images of every class, and "
            f"{', '.join(repr(name) for name in few)} {'has' if len(few) == 1 else 'have'} fewer. Add images, raise "
            f"data.per_class, or use method.name = 'sskt'."
        )
    groups = content_groups(images.hashes)
    known = task.known(images.labels)
    once = _first_of_each(groups, known)
    number = min(MOST_FOLDS, int(task.class_counts(images.labels[once], len(classes)).min()))
    fold_of_group = np.full(groups.max() + 1, -1, dtype=np.intp)
    drawn = once[rank(images.hashes[once], seed=0)]
    order = drawn[np.argsort(rarest_strata(task, images.labels)[drawn], kind="stable")]  # one stratum after the other
    fold_of_group[groups[order]] = np.arange(len(order)) % number
    return np.where(known, fold_of_group[groups], -1)


def too_few(task: Task, labels: Labels, hashes: NDArray[np.uint8], classes: Sequence[str]) -> list[str]:
    """The classes that have fewer than two different images, so that no folds are possible.

    Args:
        task: the task that says what the labels mean.
        labels: the labels of the images.
        hashes: the contents of the images, uint8 [N,32].
        classes: the names of the classes.
    """
    once = _first_of_each(content_groups(hashes), task.known(labels))
    counts = task.class_counts(labels[once], len(classes))
    return [name for name, count in zip(classes, counts, strict=True) if count < 2]


def _first_of_each(groups: NDArray[np.intp], known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """One row, the first, of each content that has a label."""
    rows = np.flatnonzero(known)
    return rows[np.unique(groups[rows], return_index=True)[1]]


def rarest_strata(task: Task, labels: Labels) -> NDArray[np.intp]:
    """The stratum of each image; of several, the one with the fewest images. Labels → [N]."""
    strata = task.strata(labels)
    if strata.ndim == 1:
        return strata.astype(np.intp)
    rare = np.where(strata, strata.sum(axis=0), len(strata) + 1)
    return np.asarray(rare.argmin(axis=1), dtype=np.intp)

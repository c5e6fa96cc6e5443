"""Check a recipe's images before training: counts, copies, near copies, and unreadable files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import Progress
from sskt_edge.data.copies import Copies, find_copies, join_parts
from sskt_edge.data.near_copies import SIZE, find_near_copies, perceptual_hashes
from sskt_edge.data.split import below_budget
from sskt_edge.recipe.models import DataOptions
from sskt_edge.tasks.task import Task


@dataclass(frozen=True)
class DataCheck:
    """The findings of a check.

    Attributes:
        notes: how the folders were read, and what in them was ignored, one line each.
        counts: part ("training", "validation" or "test") → class → number of images that can be read.
        unreadable: a message for each image that cannot be read.
        skips_unreadable: whether the recipe skips them; if not, training stops at the first.
        below_budget: a line about classes with fewer images than data.per_class; "" if there are none.
        copies: all images of equal content.
        near: how many of 256 bits may differ between near copies; 0 if they were not searched for.
        near_copies: all near copies, the nearest first; None if they were not searched for.
    """

    notes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    unreadable: tuple[str, ...]
    skips_unreadable: bool
    below_budget: str
    copies: Copies
    near: int
    near_copies: Copies | None

    @property
    def passed(self) -> bool:
        """Whether training would not stop at an image, and no content is in two parts or in two classes."""
        stops = bool(self.unreadable) and not self.skips_unreadable
        return not (stops or self.copies.shared or self.copies.two_classes.count)

    def as_json(self) -> dict[str, Any]:
        """The values that are converted to JSON."""
        return {
            "passed": self.passed,
            "notes": self.notes,
            "counts": self.counts,
            "unreadable": self.unreadable,
            "below_budget": self.below_budget,
            "copies": self.copies,
            "near": self.near,
            "near_copies": self.near_copies,
        }


def check_data(data: DataOptions, task: Task, near: int, progress: Progress) -> DataCheck:
    """Read a recipe's labelled training, validation and test images once, divided as for training.

    Args:
        data: the recipe's table [data].
        task: what its labels mean.
        near: how many of 256 bits may differ between near copies; 0 does not search for them.
        progress: draws the bars.

    Raises:
        DataError: the data set does not exist, or no image of some class can be read; or near copies are searched for
            among items that are not images.
        MissingExtraError: the package that ships the data set is not installed.
        ModuleNotFoundError: near copies are searched for, but ImageHash is not installed.
    """
    entry = DATA_SETS[data.name]
    if near and not entry.holds_images:
        raise DataError(
            f"Near copies can be searched for among images only; the items of data.name = '{data.name}' are of kind "
            f"'{entry.input}'. Leave out --near."
        )
    if near:
        import imagehash  # noqa: F401 (if it is missing, fail before torch is loaded and images are read)
    from sskt_edge.data.readers import open_data

    reader = open_data(data.model_copy(update={"skip_bad": True}), task)
    sizes = [SIZE] if near else []
    training, validation = reader.training(sizes, progress)
    images = {"training": training, "validation": validation, "test": reader.test(sizes, progress)}
    given = {name: part for name, part in images.items() if part is not None}
    parts = join_parts(given)
    near_copies = None
    if near:
        bits = [perceptual_hashes(part.resized[SIZE], progress) for part in given.values()]
        near_copies = find_near_copies(parts, np.concatenate(bits), near, progress)
    counts = {name: task.class_counts(part.labels, len(reader.classes)).tolist() for name, part in given.items()}
    return DataCheck(
        notes=tuple(reader.notes),
        counts={name: dict(zip(reader.classes, of_part, strict=True)) for name, of_part in counts.items()},
        unreadable=tuple(reader.skipped),
        skips_unreadable=data.skip_bad,
        below_budget=below_budget(task.strata(training.labels), reader.classes, data.per_class),
        copies=find_copies(parts, examples=None),
        near=near,
        near_copies=near_copies,
    )

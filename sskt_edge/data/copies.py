"""Find copies among the images of a data set: one image in two parts, or in two classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sskt_edge.data.images import ImageSet

EXAMPLES = 5
"""Pairs of each kind that a run's environment.json names."""


class Pairs(BaseModel):
    """Images that are copies of earlier ones, in the order training, validation, test.

    Attributes:
        count: how many there are.
        examples: some of them, each with the name of the earlier image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    count: int
    examples: tuple[tuple[str, str], ...]


class SharedPairs(Pairs):
    """Images of one part that are copies of images of another.

    Attributes:
        part: "test" or "validation".
        of: "training" or "validation".
    """

    part: str
    of: str


class Copies(BaseModel):
    """The copies in a data set.

    Attributes:
        shared: the copies for every two parts that have images in common.
        two_classes: copies of an image of another class.
        repeated: copies of an image of the same part and class.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    shared: tuple[SharedPairs, ...]
    two_classes: Pairs
    repeated: Pairs

    def harmful(self, near: bool = False) -> list[str]:
        """A line for every two parts that share images, and one for images in two classes, each with an example."""
        lines = [_line(f"{pairs.part} image", pairs, f"{pairs.of} image", near) for pairs in self.shared]
        if self.two_classes.count:
            lines.append(_line("image", self.two_classes, "image", near, " of another class"))
        return lines

    def lines(self, near: bool = False) -> list[str]:
        """The lines of `harmful`, and one for images that repeat others of their part and class."""
        if not self.repeated.count:
            return self.harmful(near)
        return [*self.harmful(near), _line("image", self.repeated, "earlier image", near, " of its part and class")]


def _line(image: str, pairs: Pairs, of: str, near: bool, which: str = "") -> str:
    """Such as "2 test images are copies of training images (a = b)"; `near` calls them near copies."""
    what = "near copies" if near else "copies"
    example = f" {'~' if near else '='} ".join(pairs.examples[0])
    if pairs.count == 1:
        what = what.replace("copies", "copy")
        article = "an" if of[0] in "aeiou" else "a"
        return f"1 {image} is a {what} of {article} {of}{which} ({example})"
    return f"{pairs.count:,} {image}s are {what} of {of}s{which} ({example})"


class Parts(NamedTuple):
    """The images of all parts, one part after the other.

    Attributes:
        names: the names of the parts.
        images: [N], the name of each image.
        labels: the label of each image, in the task's form.
        part: int64 [N], indices into `names`.
        hashes: uint8 [N,32].
    """

    names: tuple[str, ...]
    images: tuple[str, ...]
    labels: NDArray[Any]
    part: NDArray[np.int64]
    hashes: NDArray[np.uint8]


def join_parts(parts: Mapping[str, ImageSet | None]) -> Parts:
    """Join "training", "validation" and "test", those that are given, in this order."""
    given = {name: part for name, part in parts.items() if part is not None}
    sets = list(given.values())
    return Parts(
        tuple(given),
        tuple(name for one in sets for name in one.names),
        np.concatenate([one.labels for one in sets]),
        np.repeat(np.arange(len(sets)), [len(one) for one in sets]),
        np.concatenate([one.hashes for one in sets]),
    )


def find_copies(parts: Parts, examples: int | None = EXAMPLES) -> Copies:
    """Compare contents: files byte for byte, arrays pixel for pixel.

    Args:
        parts: the images.
        examples: how many pairs of each kind to name; None for all.
    """
    first: dict[bytes, dict[tuple[int, bytes], int]] = {}  # content → part and label → the first such image
    pairs: list[tuple[int, int]] = []
    for row, (content, part, label) in enumerate(zip(parts.hashes, parts.part, parts.labels, strict=True)):
        known = first.setdefault(content.tobytes(), {})
        pairs.extend((earlier, row) for earlier in known.values())
        known.setdefault((int(part), label.tobytes()), row)
    return copies_of_pairs(parts, pairs, examples)


def copies_of_pairs(parts: Parts, pairs: list[tuple[int, int]], examples: int | None) -> Copies:
    """Sort pairs of rows (earlier, later) by the kind of harm they do.

    Args:
        parts: the images.
        pairs: the pairs that are copies; of those with the same later row, the first is named.
        examples: how many pairs of each kind to name; None for all.
    """
    part, labels = parts.part.tolist(), parts.labels.tolist()
    shared: dict[tuple[int, int], dict[int, int]] = {}  # parts of the earlier and the later → later → earlier
    crossing: dict[int, int] = {}
    same: dict[int, int] = {}
    for earlier, later in pairs:
        if part[earlier] != part[later]:
            shared.setdefault((part[earlier], part[later]), {}).setdefault(later, earlier)
        if labels[earlier] != labels[later]:
            crossing.setdefault(later, earlier)
        elif part[earlier] == part[later]:
            same.setdefault(later, earlier)

    def named(found: dict[int, int]) -> tuple[tuple[str, str], ...]:
        return tuple((parts.images[later], parts.images[earlier]) for later, earlier in list(found.items())[:examples])

    return Copies(
        shared=tuple(
            SharedPairs(count=len(found), examples=named(found), part=parts.names[other], of=parts.names[of])
            for (of, other), found in sorted(shared.items())
        ),
        two_classes=Pairs(count=len(crossing), examples=named(crossing)),
        repeated=Pairs(count=len(same), examples=named(same)),
    )

"""The views that a training needs soft labels for, and when it uses them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.input import Input, ViewPolicy
from sskt_edge.sources.store.keys import view_keys


@dataclass(frozen=True)
class LabelPlan:
    """The views of an image that the sources are queried for.

    Attributes:
        input_kind: the kind of the items, which determines how views are drawn.
        policy: how views differ from their image.
        seed: the seed of the views.
        views: how many views of an image are used in turn, or "fresh" for a new one every time.
        batch_size: the number of images that a source gets at once. It is fixed, and the last batch is padded, since
            another batch size changes a source's last bits.
    """

    input_kind: Input
    policy: ViewPolicy
    seed: int
    views: int | Literal["fresh"]
    batch_size: int

    def views_as_json(self) -> dict[str, Any]:
        """The plan's values, in a form that JSON can write."""
        policy = self.policy
        return {
            "views": self.views,
            "seed": self.seed,
            "side": policy.size,
            "padding": policy.padding,
            "area": None if policy.area is None else list(policy.area),
            "flip": policy.flip,
        }

    def draw(self, hashes: NDArray[np.uint8], number: int) -> NDArray[np.int32]:
        """Draw view `number` of items, given their content hashes. uint8 [N,32] → int32 [N,k]."""
        return self.input_kind.draw(hashes, self.policy, self.seed, number)


@dataclass(frozen=True)
class ViewSchedule:
    """The views of a set of images that a training uses. The slot of a view is: view number times images, plus row.

    If the last pass does not use all images, it has slots only for those that it uses, unless its view number occurred
    before.

    Attributes:
        images: the N images.
        plan: the plan of the views.
        passes: how many times a training uses every image.
        last: the rows that the last pass uses, ascending, [L]; None means all.
    """

    images: ImageSet
    plan: LabelPlan
    passes: int
    last: NDArray[np.intp] | None = None

    @property
    def numbers(self) -> int:
        """The number of views of an image; some may be equal."""
        return self.passes if self.plan.views == "fresh" else min(self.plan.views, self.passes)

    @cached_property
    def _end(self) -> tuple[int, NDArray[np.intp]]:
        """The first slot of the last view number, and the rows that have a slot there."""
        last = None if self.passes > self.numbers else self.last  # otherwise all images had this view number before
        return (self.numbers - 1) * len(self.images), np.arange(len(self.images)) if last is None else last

    @property
    def count(self) -> int:
        """The number of slots."""
        first, present = self._end
        return first + len(present)

    def slots(self, passes: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The slots of images in given passes. [B], [B] → [B]."""
        slots = (passes % self.numbers) * len(self.images) + rows
        first, present = self._end
        return np.where(slots < first, slots, first + np.searchsorted(present, rows))

    def slots_of(self, number: int) -> NDArray[np.intp]:
        """All slots of a view number, in the order of their rows."""
        first, present = self._end
        start = number * len(self.images)
        return np.arange(start, start + (len(present) if start == first else len(self.images)))

    def rows(self, slots: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows of the images in given slots. [B] → [B]."""
        first, present = self._end
        rows = slots % len(self.images)
        at_the_end = slots >= first
        rows[at_the_end] = present[slots[at_the_end] - first]
        return rows

    def views(self, slots: NDArray[np.intp]) -> NDArray[np.int32]:
        """The views in given slots, which say what region of the image is seen. [B] → int32 [B,k]."""
        numbers, rows = slots // len(self.images), self.rows(slots)
        views = np.empty((len(slots), self.plan.input_kind.view_length), dtype=np.int32)
        for number in np.unique(numbers):
            here = numbers == number
            views[here] = self.plan.draw(self.images.hashes[rows[here]], int(number))
        return views

    @cached_property
    def keys(self) -> NDArray[Any]:
        """The store's key of the view in each slot, S16."""
        keys = []
        for number in range(self.numbers):
            hashes = self.images.hashes[self.rows(self.slots_of(number))]
            keys.append(view_keys(hashes, self.plan.draw(hashes, number)))
        return np.concatenate(keys)

    @cached_property
    def distinct(self) -> NDArray[np.intp]:
        """The slots whose view is in no earlier slot, ascending."""
        first = np.unique(self.keys, return_index=True)[1]
        return np.sort(first)

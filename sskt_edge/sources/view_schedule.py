"""Which views of which images a training needs soft labels of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.views import ViewPolicy, draw_views
from sskt_edge.sources.store.keys import view_keys


@dataclass(frozen=True)
class LabelPlan:
    """What the sources are asked.

    Attributes:
        policy: how views differ from their image.
        seed: of the views.
        views: how many views of an image are taken in turn, or "fresh" for a new one every time.
        batch_size: images that a source gets at once. Fixed: the last batch is filled up, since a batch of another size
            changes a source's last bits.
    """

    policy: ViewPolicy
    seed: int
    views: int | Literal["fresh"]
    batch_size: int

    def views_as_json(self) -> dict[str, Any]:
        """Which views these are, in plain values."""
        policy = self.policy
        area = None if policy.area is None else list(policy.area)
        return {"views": self.views, "seed": self.seed, **policy._asdict(), "area": area}


@dataclass(frozen=True)
class ViewSchedule:
    """The views of a set of images that a training meets, each at a place: view number times images, plus row.

    A last turn that does not meet all images has places for those alone that it meets, unless its view number has been
    met before.

    Attributes:
        images: N of them.
        plan: which views.
        turns: how many times a training meets every image.
        last: the rows that it meets in the last turn, ascending; None: all. [L].
    """

    images: ImageSet
    plan: LabelPlan
    turns: int
    last: NDArray[np.intp] | None = None

    @property
    def numbers(self) -> int:
        """How many views an image has; some may be equal."""
        return self.turns if self.plan.views == "fresh" else min(self.plan.views, self.turns)

    @cached_property
    def _cut(self) -> tuple[int, NDArray[np.intp]]:
        """The first place of the last view number, and the rows that have a place there."""
        last = None if self.turns > self.numbers else self.last  # else the number was met before, by all images
        return (self.numbers - 1) * len(self.images), np.arange(len(self.images)) if last is None else last

    def places(self, turns: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The places of images met in some turns. [B], [B] → [B]."""
        places = (turns % self.numbers) * len(self.images) + rows
        first, present = self._cut
        return np.where(places < first, places, first + np.searchsorted(present, rows))

    def places_of(self, number: int) -> NDArray[np.intp]:
        """All places of a view number, in the order of their rows."""
        first, present = self._cut
        start = number * len(self.images)
        return np.arange(start, start + (len(present) if start == first else len(self.images)))

    def rows(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """The images at some places. [B] → [B]."""
        first, present = self._cut
        rows = places % len(self.images)
        at_the_end = places >= first
        rows[at_the_end] = present[places[at_the_end] - first]
        return rows

    def views(self, places: NDArray[np.intp]) -> NDArray[np.int32]:
        """[B] → int32 [B,5]: which region of the image is seen."""
        numbers, rows = places // len(self.images), self.rows(places)
        views = np.empty((len(places), 5), dtype=np.int32)
        for number in np.unique(numbers):
            here = numbers == number
            views[here] = draw_views(self.images.hashes[rows[here]], self.plan.policy, self.plan.seed, int(number))
        return views

    @cached_property
    def keys(self) -> NDArray[Any]:
        """S16, one a place: what the store calls the view there."""
        plan, keys = self.plan, []
        for number in range(self.numbers):
            hashes = self.images.hashes[self.rows(self.places_of(number))]
            keys.append(view_keys(hashes, draw_views(hashes, plan.policy, plan.seed, number)))
        return np.concatenate(keys)

    @cached_property
    def distinct(self) -> NDArray[np.intp]:
        """The places whose view has not been at an earlier one, ascending."""
        first = np.unique(self.keys, return_index=True)[1]
        return np.sort(first)

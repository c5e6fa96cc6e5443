"""Soft labels: what every source says of one view of every training image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.cut import cut_views
from sskt_edge.data.images import ImageSet
from sskt_edge.data.views import ViewPolicy, draw_views
from sskt_edge.errors import RecipeError
from sskt_edge.runtime.progress import Progress
from sskt_edge.sources.source import Source


@dataclass(frozen=True)
class LabelPlan:
    """What the sources are asked.

    Attributes:
        policy: how views differ from their image.
        seed: of the views.
        views: so many views of an image are taken in turn, or a fresh one every epoch.
        batch_size: images that a source gets at once. Fixed: the last batch is filled up, since a batch of another size
            changes a source's last bits.
    """

    policy: ViewPolicy
    seed: int
    views: int | Literal["fresh"]
    batch_size: int


class SoftLabels:
    """The views of every epoch with the sources' logits, computed image by image in a fixed order.

    Whatever the training's batches are, and wherever it is resumed, the same view gets the same labels to the bit. With
    `views = K` the logits of the K views are kept in memory, so that K passes of the sources serve all epochs.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        images: ImageSet,
        sides: Mapping[str, int],
        plan: LabelPlan,
        progress: Progress,
        between_batches: Callable[[], None],
    ) -> None:
        """Label `images` by `sources`; `sides` says which of the squares each source sees, by its name.

        `between_batches` is called before each batch of a source, so that long passes can be interrupted.
        """
        self._sources, self._images, self._sides, self._plan = sources, images, sides, plan
        self._progress, self._between_batches = progress, between_batches
        self._kept: dict[int, dict[str, NDArray[np.float32]]] = {}

    def views_of(self, epoch: int) -> NDArray[np.int32]:
        """int32 [N,5]: the view of every image in this epoch."""
        return draw_views(self._images.hashes, self._plan.policy, self._plan.seed, self._number(epoch))

    def of_epoch(self, epoch: int) -> dict[str, NDArray[np.float32]]:
        """Source → float32 [N,C]: its logits for the epoch's view of every image."""
        number = self._number(epoch)
        if number not in self._kept:
            if self._plan.views == "fresh":
                self._kept.clear()
            views = self.views_of(epoch)
            self._kept[number] = {source.name: self._ask(source, views, number) for source in self._sources}
        return self._kept[number]

    def _number(self, epoch: int) -> int:
        return epoch if self._plan.views == "fresh" else epoch % self._plan.views

    def _ask(self, source: Source, views: NDArray[np.int32], number: int) -> NDArray[np.float32]:
        """One pass of a source over one view of every image. [N,5] → [N,C]."""
        images = self._images.squares[self._sides[source.name]]
        size, side = self._plan.batch_size, self._plan.policy.side
        logits = np.empty((len(views), source.classes), dtype=np.float32)
        of = "" if self._plan.views == "fresh" else f" of {self._plan.views}"
        with self._progress.bar(f"{source.name}, view {number + 1}{of}", len(views)) as bar:
            for start in range(0, len(views), size):
                self._between_batches()
                rows = np.arange(start, min(start + size, len(views)))
                filled = np.resize(rows, size)
                logits[rows] = source.logits(cut_views(images, filled, views[filled], side))[: len(rows)]
                bar.advance(len(rows))
        return logits


def check_memory(sources: Sequence[Source], images: int, views: int) -> None:
    """Refuse soft labels that do not fit into the free memory, before hours are spent on filling it.

    Raises:
        RecipeError: they do not fit; how many views would is said.
    """
    one_view = 4 * images * sum(source.classes for source in sources)
    free = _free_memory()
    if free is not None and one_view * views > free:
        raise RecipeError(
            f"labels.views = {views}: the soft labels of {images:,} images take {one_view * views / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free. Up to {free // one_view} views fit; 'fresh' keeps one at a time."
        )


def _free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def native_side(input_size: int, own_side: int, image_size: int) -> int:
    """The side of the square from which a source's region is cut at the image's own resolution.

    No larger than the source's input (more pixels would only be thrown away) and than the largest image has, but no
    smaller than the target's.
    """
    return min(input_size, max(own_side, image_size))

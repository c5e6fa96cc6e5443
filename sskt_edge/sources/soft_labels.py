"""Soft labels: the logits of every source for one view of every training image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.sources.view_schedule import ViewSchedule


class LogitsReader(Protocol):
    """A source's logits for the views of a schedule, wherever they come from."""

    def read(self, slots: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,C]."""


class SoftLabels:
    """The views of a set of images, with every source's logits for them.

    The same view gets the same labels bit for bit, whatever the training's batches are and wherever it is resumed.

    Args:
        schedule: the views.
        readers: name of a source → its logits.
        features: the names of the sources that give features in place of logits.
    """

    def __init__(
        self, schedule: ViewSchedule, readers: Mapping[str, LogitsReader], features: Collection[str] = ()
    ) -> None:
        self.schedule, self.readers, self.features = schedule, readers, frozenset(features)

    def of(
        self, passes: NDArray[np.intp], rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], dict[str, NDArray[np.float32]]]:
        """The views of images in given passes, and their labels. For labelled images, a pass is an epoch.

        [B], [B] → int32 [B,5], {source: float32 [B,C]}.
        """
        slots = self.schedule.slots(passes, rows)
        return self.schedule.views(slots), {name: reader.read(slots) for name, reader in self.readers.items()}

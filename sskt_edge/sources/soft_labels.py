"""Soft labels: what every source says of one view of every training image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.sources.view_schedule import ViewSchedule


class LogitsReader(Protocol):
    """A source's logits of the views of a schedule, wherever they come from."""

    def read(self, slots: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,C]."""


class SoftLabels:
    """The views of a set of images, with what every source says of them.

    Whatever the training's batches are, and wherever it is resumed, the same view gets the same labels to the bit.

    Args:
        schedule: the views.
        logits: by the names of the sources.
    """

    def __init__(self, schedule: ViewSchedule, logits: Mapping[str, LogitsReader]) -> None:
        self._schedule, self._logits = schedule, logits

    def of(
        self, passes: NDArray[np.intp], rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], dict[str, NDArray[np.float32]]]:
        """The views of images that are met in some passes (a labelled image's are the epochs), and their labels.

        [B], [B] → int32 [B,5], {source: float32 [B,C]}.
        """
        slots = self._schedule.slots(passes, rows)
        return self._schedule.views(slots), {name: logits.read(slots) for name, logits in self._logits.items()}

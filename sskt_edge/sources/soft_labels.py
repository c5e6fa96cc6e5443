"""Soft labels: what every source says of one view of every training image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.sources.view_schedule import ViewSchedule


class Logits(Protocol):
    """A source's logits of wanted views, wherever they come from."""

    def read(self, places: NDArray[np.intp]) -> NDArray[np.float32]:
        """[B] → float32 [B,C]."""


class SoftLabels:
    """The views of a set of images, with what every source says of them.

    Whatever the training's batches are, and wherever it is resumed, the same view gets the same labels to the bit.
    """

    def __init__(self, wanted: ViewSchedule, logits: Mapping[str, Logits]) -> None:
        """Serve `wanted` from each source's `logits`."""
        self._wanted, self._logits = wanted, logits

    def of(
        self, turns: NDArray[np.intp], rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], dict[str, NDArray[np.float32]]]:
        """The views of images that are met in some turns (epochs; passes), and their labels.

        [B], [B] → int32 [B,5], {source: float32 [B,C]}.
        """
        places = self._wanted.places(turns, rows)
        return self._wanted.views(places), {name: logits.read(places) for name, logits in self._logits.items()}


def native_side(input_size: int, own_side: int, image_size: int) -> int:
    """The side of the square from which a source's region is cut at the image's own resolution.

    No larger than the source's input (more pixels would only be thrown away) and than the largest image has, but no
    smaller than the target's.
    """
    return min(input_size, max(own_side, image_size))

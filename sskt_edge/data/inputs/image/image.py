"""An image as an input: a square of RGB pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.inputs.image.views import VIEW_LENGTH, draw_views
from sskt_edge.data.inputs.input import ViewPolicy

if TYPE_CHECKING:
    from sskt_edge.data.inputs.pixels import Pixels


class ImageInput:
    """Images; a view is (y, x, height, width, flip). Only `cut` and `preprocess` load torch."""

    view_length = VIEW_LENGTH

    def shape(self, size: int) -> tuple[int, ...]:
        """(size, size, 3)."""
        return size, size, 3

    def draw(self, hashes: NDArray[np.uint8], policy: ViewPolicy, seed: int, number: int) -> NDArray[np.int32]:
        """uint8 [N,32] → int32 [N,5], as `draw_views`."""
        return draw_views(hashes, policy, seed, number)

    def cut(
        self, items: NDArray[np.uint8], rows: NDArray[np.intp], views: NDArray[np.int32], unit: int
    ) -> NDArray[np.uint8]:
        """[N,S,S,3], [B], [B,5] → [B,S,S,3], as `cut_views`."""
        from sskt_edge.data.inputs.image.cut import cut_views

        return cut_views(items, rows, views, unit)

    def preprocess(self, size: int, mean: Sequence[float], std: Sequence[float]) -> Pixels:
        """uint8 [B,H,W,3] → float32 [B,3,size,size]."""
        from sskt_edge.data.inputs.pixels import Pixels

        return Pixels(size, mean, std)


IMAGE = ImageInput()

"""A view that is cut from the image as a square of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.image.image import IMAGE

# This number changes whenever the cutting or resizing of views changes.
_CUT_VERSION = 1


@dataclass(frozen=True)
class SquareView:
    """The view's region, cut from the image at `size` × `size`; the source's graph resizes it to its input.

    Attributes:
        name: its name in the catalogue.
        size: the size of the resized image that views are cut from, in pixels.
        target_size: the size of the target's input, which is the unit of the views.
    """

    name: str
    size: int
    target_size: int

    def facts(self) -> dict[str, Any]:
        """The facts that decide a label."""
        return {"how": self.name, "square": self.size, "view_side": self.target_size, "cut": _CUT_VERSION}

    def batch(self, images: ImageSet, rows: NDArray[np.intp], views: NDArray[np.int32]) -> NDArray[np.uint8]:
        """[B], int32 [B,5] → uint8 [B,size,size,3]."""
        return IMAGE.cut(images.resized[self.size], rows, views, self.target_size)

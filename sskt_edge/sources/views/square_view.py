"""A view cut from the image as a square of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sskt_edge.data.images import ImageSet
from sskt_edge.data.inputs.image.image import IMAGE

# Changes with how views are cut and resized before a source is shown them.
_CUT_VERSION = 1


@dataclass(frozen=True)
class SquareView:
    """The region of the view, cut from the image at `size` × `size`; the source's graph resizes it to its input.

    Attributes:
        name: the catalogue's.
        size: of what is cut, in pixels.
        target_size: of the target's input, the unit of the views.
    """

    name: str
    size: int
    target_size: int

    def facts(self) -> dict[str, Any]:
        """What of it decides a label."""
        return {"how": self.name, "square": self.size, "view_side": self.target_size, "cut": _CUT_VERSION}

    def batch(self, images: ImageSet, rows: NDArray[np.intp], views: NDArray[np.int32]) -> NDArray[np.uint8]:
        """[B], int32 [B,5] → uint8 [B,size,size,3]."""
        return IMAGE.cut(images.resized[self.size], rows, views, self.target_size)

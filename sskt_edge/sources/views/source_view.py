"""The seam of a source's view: what of an image's view a source is shown, and at which size."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.catalogue.source_views import SOURCE_VIEWS
from sskt_edge.data.images import ImageSet


class SourceView(Protocol):
    """What a source is shown of a view."""

    @property
    def size(self) -> int:
        """Of the images that the source gets; the image set has the images in this size."""

    def facts(self) -> dict[str, Any]:
        """What of it decides a label; part of the label's key, so a change has all labels asked again."""

    def batch(self, images: ImageSet, rows: NDArray[np.intp], views: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Show views of some images.

        Args:
            images: N of them, in the size `size` among others.
            rows: [B], which images.
            views: int32 [B,k], which view of each, as the input drew it.

        Returns:
            uint8 [B,size,size,3].
        """


def source_view(name: str, input_size: int, own_size: int, target_size: int) -> SourceView:
    """The view that a recipe names.

    Args:
        name: one of the catalogue's.
        input_size: of the source's input.
        own_size: of the largest square that the images give without being enlarged.
        target_size: of the target's input, the unit of the views.
    """
    view: SourceView = SOURCE_VIEWS[name].load()(input_size, own_size, target_size)
    return view

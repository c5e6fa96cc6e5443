"""The interface of source views: which part of a view a source is shown, and at which size."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sskt_edge.catalogue.source_views import SOURCE_VIEWS
from sskt_edge.data.images import ImageSet


class SourceView(Protocol):
    """A way to show a view to a source."""

    @property
    def size(self) -> int:
        """The size of the images that the source gets; the image set has the images in this size."""

    def facts(self) -> dict[str, Any]:
        """The facts that decide a label. They are part of its key: after a change, all labels are computed again."""

    def batch(self, images: ImageSet, rows: NDArray[np.intp], views: NDArray[np.int32]) -> NDArray[np.uint8]:
        """Cut the views of some images.

        Args:
            images: the N images, which are available in the size `size`.
            rows: [B], the rows of the images.
            views: int32 [B,k], the view of each image, as the input drew it.

        Returns:
            uint8 [B,size,size,3].
        """


def source_view(name: str, input_size: int, own_size: int, target_size: int) -> SourceView:
    """The view that a recipe names.

    Args:
        name: its name in the catalogue.
        input_size: the size of the source's input.
        own_size: the size of the largest square that the images give without being enlarged.
        target_size: the size of the target's input, which is the unit of the views.
    """
    view: SourceView = SOURCE_VIEWS[name].load()(input_size, own_size, target_size)
    return view

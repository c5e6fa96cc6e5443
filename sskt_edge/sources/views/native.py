"""native: a source is shown the region of the view at the image's own resolution."""

from __future__ import annotations

from sskt_edge.sources.views.square_view import SquareView


def native(input_size: int, own_size: int, target_size: int) -> SquareView:
    """Cut from squares no larger than the source's input (it would throw the other pixels away) and than the images.

    They are never smaller than the target's input.

    >>> native(input_size=224, own_size=160, target_size=64).size
    160
    """
    return SquareView("native", min(input_size, max(own_size, target_size)), target_size)

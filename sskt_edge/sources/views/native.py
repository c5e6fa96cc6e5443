"""native: the source is shown the view's region at the image's own resolution."""

from __future__ import annotations

from sskt_edge.sources.views.square_view import SquareView


def native(input_size: int, own_size: int, target_size: int) -> SquareView:
    """Cut from squares that are at most as large as the source's input and the images.

    A larger square would have pixels that the source discards. A square is never smaller than the target's input.

    >>> native(input_size=224, own_size=160, target_size=64).size
    160
    """
    return SquareView("native", min(input_size, max(own_size, target_size)), target_size)

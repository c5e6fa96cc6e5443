"""upsampled: the source is shown exactly the target's pixels, enlarged."""

from __future__ import annotations

from sskt_edge.sources.views.square_view import SquareView


def upsampled(input_size: int, own_size: int, target_size: int) -> SquareView:  # noqa: ARG001 (alike for every view)
    """Cut from squares of the target's size.

    >>> upsampled(input_size=224, own_size=160, target_size=64).size
    64
    """
    return SquareView("upsampled", target_size, target_size)

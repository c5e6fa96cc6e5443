from __future__ import annotations

import numpy as np

from sskt_edge.data.images import ImageSet
from tests.data.small import hashes_of


def test_take_picks_the_same_rows_of_everything() -> None:
    squares = {side: np.arange(4 * side * side * 3, dtype=np.uint8).reshape(4, side, side, 3) for side in (2, 3)}
    images = ImageSet(squares, np.array([4, 5, 6, 7]), hashes_of(4))

    taken = images.take(np.array([2, 0]))

    assert len(images) == 4 and len(taken) == 2
    assert taken.labels.tolist() == [6, 4]
    assert all(np.array_equal(taken.squares[side], squares[side][[2, 0]]) for side in (2, 3))
    assert np.array_equal(taken.hashes, images.hashes[[2, 0]])

from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.data.batches import epoch_batches, steps_per_epoch


@pytest.mark.parametrize(("count", "batch_size"), [(100, 32), (96, 32), (97, 32), (5, 32), (33, 32), (2, 2)])
def test_an_epoch_holds_every_image_once_in_even_batches(count: int, batch_size: int) -> None:
    batches = epoch_batches(count, batch_size, seed=0, epoch=0)
    sizes = [len(batch) for batch in batches]

    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == steps_per_epoch(count, batch_size) == -(-count // batch_size)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        flat: list[int] = np.concatenate(epoch_batches(50, 16, seed, epoch)).tolist()
        return flat

    first = order(1, 2)
    np.random.seed(0)

    assert order(1, 2) == first
    assert order(1, 3) != first
    assert order(2, 2) != first
    assert order(2, 1) != first
    assert first != list(range(50))


def test_the_batch_size_does_not_change_the_order() -> None:
    assert np.concatenate(epoch_batches(50, 16, 1, 2)).tolist() == np.concatenate(epoch_batches(50, 7, 1, 2)).tolist()

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sskt_edge.data.batches import epoch_batches, steps_per_epoch, unlabelled_batches, unlabelled_passes


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


COUNT, PER_BATCH = 10, (3, 4, 0, 3, 4)


def stream(epochs: range, count: int = COUNT, seed: int = 5) -> list[tuple[int, int]]:
    """(row, pass) of everything that the epochs take, one after another."""
    taken = []
    for epoch in epochs:
        for rows, passes in unlabelled_batches(count, PER_BATCH, seed, epoch):
            assert len(rows) == len(passes)
            taken += list(zip(rows.tolist(), passes.tolist(), strict=True))
    return taken


def test_unlabelled_images_join_each_batch_in_the_number_asked_for() -> None:
    sizes = [len(rows) for rows, _ in unlabelled_batches(COUNT, PER_BATCH, seed=0, epoch=2)]

    assert sizes == list(PER_BATCH)


@pytest.mark.parametrize("count", [1, 3, 10, 14, 1000])
def test_every_unlabelled_image_is_met_once_a_pass(count: int) -> None:
    taken = stream(range(6), count)
    met = Counter(taken)

    assert [number for _, number in taken] == sorted(number for _, number in taken)
    assert max(met.values()) == 1
    whole = range(len(taken) // count)
    assert all(sorted(row for row, number in taken if number == one) == list(range(count)) for one in whole)


def test_an_unlabelled_epoch_is_the_same_whatever_was_drawn_before() -> None:
    after_others = stream(range(4))[-sum(PER_BATCH) :]

    assert stream(range(3, 4)) == after_others


def test_unlabelled_epochs_join_seamlessly_wherever_batches_end() -> None:
    one_batch = unlabelled_batches(COUNT, [4 * sum(PER_BATCH)], seed=5, epoch=0)

    assert stream(range(4)) == list(zip(*(part.tolist() for part in one_batch[0]), strict=True))


def test_the_unlabelled_order_depends_on_seed_and_pass() -> None:
    def order(seed: int, number: int) -> list[int]:
        return [row for row, at in stream(range(9), 50, seed) if at == number]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(1, 1) != order(2, 0)


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_the_unlabelled_order_is_another_than_the_labelled(epoch: int) -> None:
    labelled = np.concatenate(epoch_batches(50, 16, 1, epoch)).tolist()
    ((rows, _),) = unlabelled_batches(50, [50], 1, epoch)

    assert rows.tolist() != labelled


@pytest.mark.parametrize(("count", "epochs"), [(1, 1), (10, 1), (10, 5), (14, 3), (14, 1), (1000, 2)])
def test_the_passes_and_the_end_of_the_last_are_those_of_the_stream(count: int, epochs: int) -> None:
    passes, rows = unlabelled_passes(count, sum(PER_BATCH), 5, epochs)

    met = stream(range(epochs), count)
    assert passes == 1 + max(number for _, number in met)
    assert rows.tolist() == sorted(row for row, number in met if number == passes - 1)


def test_the_orders_stay_what_they_were() -> None:
    """A resumed training goes on in the order that it was begun in, whatever version runs it."""
    assert np.concatenate(epoch_batches(6, 3, 1, 2)).tolist() == [5, 0, 4, 2, 3, 1]
    assert [row for row, _ in stream(range(1), 6, seed=1)] == [5, 1, 0, 3, 4, 2, 2, 4, 0, 1, 5, 3, 1, 0]

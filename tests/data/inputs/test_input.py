"""What every input must do, whatever its items are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sskt_edge.catalogue.data_sets import DATA_SETS
from sskt_edge.catalogue.inputs import INPUTS
from sskt_edge.data.inputs.input import Input, ViewPolicy, input_of
from tests.clips import CLIP
from tests.data.small import hashes_of

SIZE = 8
POLICIES = [ViewPolicy(SIZE, padding=2, flip=True), ViewPolicy(SIZE, area=(0.3, 1.0), flip=True)]
ALL = [pytest.param(entry.load(), id=entry.name) for entry in INPUTS.values()] + [pytest.param(CLIP, id="clip")]
every_input = pytest.mark.parametrize("shown", ALL)


def items(shown: Input, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, *shown.shape(size)), dtype=np.uint8)


@every_input
@pytest.mark.parametrize("policy", POLICIES, ids=["moved", "resized"])
def test_a_view_depends_on_seed_number_and_content_alone(shown: Input, policy: ViewPolicy) -> None:
    hashes = hashes_of(40)
    views = shown.draw(hashes, policy, 3, 5)
    assert views.dtype == np.int32 and views.shape == (40, shown.view_length)
    np.testing.assert_array_equal(shown.draw(hashes[::-1], policy, 3, 5), views[::-1])
    assert any((shown.draw(hashes, policy, *other) != views).any() for other in ((3, 6), (4, 5)))
    assert shown.draw(hashes[:0], policy, 3, 5).shape == (0, shown.view_length)


@every_input
@pytest.mark.parametrize("policy", POLICIES, ids=["moved", "resized"])
@pytest.mark.parametrize("size", [SIZE, 12])
def test_a_view_of_a_batch_is_that_of_each_item(shown: Input, policy: ViewPolicy, size: int) -> None:
    own, rows = items(shown, size), np.array([5, 0, 0, 3])
    views = shown.draw(hashes_of(6), policy, 0, 1)[rows]
    batch = shown.cut(own, rows, views, SIZE)
    assert batch.dtype == np.uint8 and batch.shape == (4, *shown.shape(size))
    for place, row in enumerate(rows):
        alone = shown.cut(own[row : row + 1], np.array([0]), views[place : place + 1], SIZE)
        np.testing.assert_array_equal(batch[place], alone[0])


@every_input
def test_the_preprocessing_gives_channels_first_of_the_size_asked(shown: Input) -> None:
    pixels = shown.preprocess(SIZE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    for size in (SIZE, 12):
        planes = pixels(torch.from_numpy(items(shown, size)))
        assert planes.dtype == torch.float32
        assert planes.shape[:2] == (6, 3) and planes.shape[-2:] == (SIZE, SIZE)


def test_the_items_of_every_data_set_are_an_input() -> None:
    assert all(input_of(name).shape(SIZE)[-1] == 3 for name in DATA_SETS)

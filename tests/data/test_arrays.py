from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from sskt_edge.common.errors import DataError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.arrays import ArrayReader, Arrays, array_hashes
from sskt_edge.images.decode import to_square
from sskt_edge.recipe.models import DataOptions
from tests.data.small import rows_of

LABELS = np.tile(np.arange(3, dtype=np.int64), 8)
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
TRAIN = Arrays(IMAGES, LABELS, "train", range(24))
TEST = Arrays(IMAGES[::-1][:6].copy(), LABELS[:6].copy(), "test", range(6))


def reader(**keys: Any) -> ArrayReader:
    data = DataOptions.model_validate({"name": "digits", "image_size": 8, **keys})
    return ArrayReader(data, ["a", "b", "c"], TRAIN, lambda: TEST)


def test_all_images_come_in_their_own_order() -> None:
    images, validation = reader().training([8], QUIET)

    assert validation is None
    assert np.array_equal(images.resized[8], IMAGES)
    assert np.array_equal(images.labels, LABELS)
    assert np.array_equal(images.hashes, array_hashes(IMAGES))


def test_budget_and_validation_are_stratified_and_disjoint() -> None:
    images, validation = reader(per_class=4, validation=0.25).training([8], QUIET)

    assert validation is not None
    assert np.bincount(images.labels).tolist() == [4, 4, 4]
    assert np.bincount(validation.labels).tolist() == [2, 2, 2]
    assert not rows_of(images.resized[8]) & rows_of(validation.resized[8])


@pytest.mark.parametrize("per_class", [1, 4, 7])
def test_the_rest_validates_and_the_budget_stays_that_of_no_validation(per_class: int) -> None:
    images, validation = reader(per_class=per_class, validation="rest").training([8], QUIET)
    alone, _ = reader(per_class=per_class).training([8], QUIET)

    assert validation is not None
    assert images.names == alone.names
    assert sorted([*images.names, *validation.names]) == sorted(f"train[{row}]" for row in range(24))


def test_a_budget_that_leaves_nothing_to_validate_is_refused() -> None:
    with pytest.raises(DataError, match=r"per_class = 8 takes all 24 training images .* Lower"):
        reader(per_class=8, validation="rest").training([8], QUIET)


def test_images_are_named_by_their_rows_in_the_published_array() -> None:
    images, validation = reader(per_class=3, validation=0.25).training([8], QUIET)

    assert validation is not None
    for part in (images, validation):
        rows = [int(name.removeprefix("train[").removesuffix("]")) for name in part.names]
        assert np.array_equal(part.resized[8], IMAGES[rows])
    assert reader().test([8], QUIET).names == tuple(f"test[{row}]" for row in range(6))


def test_the_split_seed_chooses_the_images() -> None:
    one, same, other = (reader(per_class=3, split_seed=seed).training([8], QUIET)[0] for seed in (1, 1, 2))

    assert np.array_equal(one.hashes, same.hashes)
    assert not np.array_equal(one.hashes, other.hashes)


def test_labels_stay_with_their_images() -> None:
    images, validation = reader(per_class=3, validation=0.25).training([8], QUIET)
    label_of = dict(zip(rows_in_order(IMAGES), LABELS.tolist(), strict=True))

    for part in (images, validation):
        assert part is not None
        assert [label_of[row] for row in rows_in_order(part.resized[8])] == part.labels.tolist()


def rows_in_order(images: np.typing.NDArray[np.uint8]) -> list[bytes]:
    return [image.tobytes() for image in images]


@pytest.mark.parametrize("size", [16, 5])
def test_another_size_is_resized_by_the_one_reader(size: int) -> None:
    images, _ = reader().training([8, size], QUIET)

    assert np.array_equal(images.resized[8], IMAGES)
    for row in (0, 23):
        assert np.array_equal(images.resized[size][row], to_square(Image.fromarray(IMAGES[row]), size))


def test_hashes_are_of_the_images_whatever_they_are_resized_to() -> None:
    small, large = (reader().training([size], QUIET)[0] for size in (8, 16))

    assert np.array_equal(small.hashes, large.hashes)


def test_the_test_array_is_made_only_when_asked_for() -> None:
    asked: list[int] = []

    def test() -> Arrays:
        asked.append(1)
        return TEST

    made = ArrayReader(DataOptions(name="digits", image_size=8), ["a", "b", "c"], TRAIN, test)
    made.training([8], QUIET)
    assert not asked

    assert np.array_equal(made.test([8], QUIET).resized[8], TEST.images)
    assert asked


def test_copies_in_an_array_stay_on_one_side() -> None:
    twice = Arrays(np.concatenate([IMAGES, IMAGES]), np.tile(LABELS, 2), "train", range(48))
    for keys in ({"validation": 0.3}, {"validation": "rest", "per_class": 3}, {"validation": 0.2, "per_class": 3}):
        data = DataOptions.model_validate({"name": "digits", "image_size": 8, **keys})
        images, validation = ArrayReader(data, ["a", "b", "c"], twice, lambda: TEST).training([8], QUIET)

        assert validation is not None and len(validation)
        assert not rows_of(images.resized[8]) & rows_of(validation.resized[8])


def test_the_contents_of_the_test_array_are_known_without_its_pixels() -> None:
    made = reader()
    known = made.test_contents(QUIET)

    assert known.resized == {}
    assert np.array_equal(known.hashes, made.test([8], QUIET).hashes)
    assert known.names[0] == "test[0]"


def test_clips_are_resized_frame_by_frame() -> None:
    frames = IMAGES.reshape(-1, 4, *IMAGES.shape[1:])
    count = len(frames)
    arrays = Arrays(frames, np.arange(count) % 2, "train", range(count))
    made = ArrayReader(DataOptions(name="digits"), "ab", arrays, lambda: arrays)
    assert made.own_size == IMAGES.shape[1]

    clips, _ = made.training([5], QUIET)

    assert clips.resized[5].shape == (count, 4, 5, 5, 3)
    for clip, whole in zip(clips.resized[5], frames, strict=True):
        for frame, own in zip(clip, whole, strict=True):
            assert np.array_equal(frame, to_square(Image.fromarray(own), 5))

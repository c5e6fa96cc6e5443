"""Cutting is compared with slow references that say what is meant, image by image."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.data.inputs.image.views import draw_views
from sskt_edge.data.inputs.input import ViewPolicy
from tests.data.small import hashes_of

Image = npt.NDArray[np.uint8]
View = npt.NDArray[np.int32]


def noise(count: int, size: int) -> Image:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def cropped(image: Image, y: int, x: int, flip: int) -> Image:
    """The image as seen when its window moves by y and x pixels, pixel by pixel."""
    size = len(image)
    out = np.zeros_like(image)
    for row in range(size):
        for column in range(size):
            if 0 <= row + y < size and 0 <= column + x < size:
                out[row, column] = image[row + y, column + x]
    return out[:, ::-1] if flip else out


def bilinear(image: Image, y: float, x: float, height: float, width: float) -> npt.NDArray[np.float64]:
    """The region stretched over the whole image: half-pixel centres, nothing from outside the region."""
    size = len(image)
    out = np.empty((size, size, 3))
    for row in range(size):
        for column in range(size):
            at_y = np.clip(y + (row + 0.5) * height / size - 0.5, np.ceil(y), max(np.ceil(y), np.floor(y + height - 1)))
            at_x = np.clip(
                x + (column + 0.5) * width / size - 0.5, np.ceil(x), max(np.ceil(x), np.floor(x + width - 1))
            )
            top, left = int(at_y), int(at_x)
            bottom, right = min(top + 1, size - 1), min(left + 1, size - 1)
            down, along = at_y - top, at_x - left
            upper = image[top, left] * (1 - along) + image[top, right] * along
            lower = image[bottom, left] * (1 - along) + image[bottom, right] * along
            out[row, column] = upper * (1 - down) + lower * down
    return out


@pytest.mark.parametrize("size", [8, 11])
def test_crops_with_padding_and_flip_are_those_of_the_reference(size: int) -> None:
    images, hashes = noise(6, size), hashes_of(6)
    rows = np.array([5, 0, 3, 3, 1, 4, 2], dtype=np.intp)
    for number in range(8):
        views = draw_views(hashes, ViewPolicy(size, padding=4, flip=True), 0, number)[rows]

        cut = cut_views(images, rows, views, size)

        for place, (row, (y, x, _, _, flip)) in enumerate(zip(rows, views, strict=True)):
            assert np.array_equal(cut[place], cropped(images[row], y, x, flip))


def test_a_larger_square_is_cut_by_the_same_view_scaled() -> None:
    images, hashes = noise(5, 16), hashes_of(5)
    rows = np.arange(5)
    for number in range(6):
        views = draw_views(hashes, ViewPolicy(8, padding=3, flip=True), 0, number)

        cut = cut_views(images, rows, views, unit=8)

        assert cut.shape == (5, 16, 16, 3)
        for place, (y, x, _, _, flip) in enumerate(views):
            assert np.array_equal(cut[place], cropped(images[place], 2 * y, 2 * x, flip))


@pytest.mark.parametrize(("own", "offset", "pixels"), [(12, 1, 2), (12, -1, -1), (12, 3, 5), (10, 1, 1), (10, -3, -4)])
def test_an_offset_between_pixels_goes_to_the_nearest_halves_upwards(own: int, offset: int, pixels: int) -> None:
    images = noise(1, own)
    views = np.array([[offset, 0, 8, 8, 0]], dtype=np.int32)

    assert np.array_equal(cut_views(images, np.array([0]), views, 8)[0], cropped(images[0], pixels, 0, 0))


@pytest.mark.parametrize("own", [8, 16, 12, 20])
def test_resized_crops_are_within_a_level_of_bilinear_in_floats(own: int) -> None:
    size = 8 if own != 20 else 16
    images, hashes = noise(6, own), hashes_of(6)
    for number in range(3):
        views = draw_views(hashes, ViewPolicy(size, area=(0.1, 1.0), flip=True), 0, number)

        cut = cut_views(images, np.arange(6), views, size).astype(np.float64)

        for place, view in enumerate(views):
            y, x, height, width = view[:4] * own / size
            expected = bilinear(images[place], y, x, height, width)
            assert np.abs(cut[place] - (expected[:, ::-1] if view[4] else expected)).max() < 1.001, view


def in_256ths(line: int, start: float, length: float, size: int) -> tuple[int, int, int]:
    """The two lines that line `line` of the output lies between, and the weight of the second."""
    centre = start + (line + 0.5) * (length / size) - 0.5
    low, high = math.ceil(start), max(math.ceil(start), math.floor(start + length - 1))
    fixed = round(min(max(centre, low), high) * 256)
    return fixed >> 8, min((fixed >> 8) + 1, size - 1), fixed & 255


@pytest.mark.parametrize(("own", "size"), [(8, 8), (12, 8), (9, 6)])
def test_resized_crops_are_bilinear_in_whole_numbers_rows_first(own: int, size: int) -> None:
    images, hashes = noise(4, own).astype(np.int64), hashes_of(4)
    views = draw_views(hashes, ViewPolicy(size, area=(0.1, 1.0), flip=True), 0, 0)
    assert set(views[:, 4]) == {0, 1}

    cut = cut_views(images.astype(np.uint8), np.arange(4), views, size)

    for image, view, found in zip(images, views, cut, strict=True):
        y, x, height, width = (float(value) * own / size for value in view[:4])
        tall = np.empty_like(image)
        for line in range(own):
            first, second, weight = in_256ths(line, y, height, own)
            tall[line] = (image[first] * (256 - weight) + image[second] * weight + 128) >> 8
        expected = np.empty_like(image)
        for line in range(own):
            first, second, weight = in_256ths(line, x, width, own)
            expected[:, line] = (tall[:, first] * (256 - weight) + tall[:, second] * weight + 128) >> 8
        assert np.array_equal(found, expected[:, ::-1] if view[4] else expected)


def test_a_view_that_lies_outside_its_image_is_black() -> None:
    views = np.array([[8, 0, 8, 8, 0], [0, -9, 8, 8, 1], [-20, 20, 8, 8, 0]], dtype=np.int32)

    assert not cut_views(noise(3, 8), np.arange(3), views, 8).any()


def test_a_resized_crop_of_one_pixel_is_that_pixel_everywhere() -> None:
    images = noise(1, 8)
    views = np.array([[3, 5, 1, 1, 0]], dtype=np.int32)

    cut = cut_views(images, np.array([0]), views, 8)

    assert (cut == images[0, 3, 5]).all()


def test_a_resized_crop_takes_nothing_from_outside_its_region() -> None:
    images = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    images[0, 4:12, 6:14] = 200

    cut = cut_views(images, np.array([0]), np.array([[2, 3, 4, 4, 0]], dtype=np.int32), unit=8)

    assert (cut == 200).all()


@pytest.mark.parametrize("own", [8, 24, 13])
def test_the_whole_view_is_the_image_itself(own: int) -> None:
    images = noise(3, own)

    assert np.array_equal(cut_views(images, np.arange(3), np.array([[0, 0, 8, 8, 0]] * 3, dtype=np.int32), 8), images)


def test_a_batch_of_whole_and_resized_views_keeps_the_whole_exact() -> None:
    images = noise(2, 16)
    views = np.array([[0, 0, 8, 8, 0], [1, 1, 4, 4, 1]], dtype=np.int32)

    assert np.array_equal(cut_views(images, np.arange(2), views, 8)[0], images[0])


@pytest.mark.parametrize("policy", [ViewPolicy(8, 2, flip=True), ViewPolicy(8, area=(0.2, 0.9), flip=True)])
def test_a_view_is_the_same_pixels_in_any_batch(policy: ViewPolicy) -> None:
    images, views = noise(10, 8), draw_views(hashes_of(10), policy, 0, 0)
    everything = cut_views(images, np.arange(10), views, 8)

    for row in range(10):
        assert np.array_equal(cut_views(images, np.array([row]), views[[row]], 8)[0], everything[row])


def test_cutting_leaves_the_images_alone() -> None:
    images = noise(4, 8)
    before = images.copy()
    for view in ([0, 0, 8, 8, 1], [1, -1, 8, 8, 1], [0, 0, 4, 5, 1]):
        cut_views(images, np.arange(4), np.tile(np.array(view, dtype=np.int32), (4, 1)), 8)[:] = 0

    assert np.array_equal(images, before)

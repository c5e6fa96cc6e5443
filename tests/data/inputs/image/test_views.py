from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.data.inputs.image.views import draw_views
from sskt_edge.data.inputs.input import ViewPolicy
from tests.data.small import hashes_of

CROP = ViewPolicy(size=32, padding=4, flip=True)
AREA = ViewPolicy(size=32, area=(0.2, 1.0), flip=True)


def distances(counts: list[int], expected: float) -> float:
    """Pearson's chi-squared."""
    return sum((count - expected) ** 2 / expected for count in counts)


@pytest.mark.parametrize("policy", [CROP, AREA])
def test_a_view_depends_on_nothing_but_seed_number_and_image(policy: ViewPolicy) -> None:
    hashes = hashes_of(50)
    views = draw_views(hashes, policy, seed=3, number=5)
    some = np.array([40, 3, 17, 3])

    assert np.array_equal(draw_views(hashes[::-1], policy, 3, 5), views[::-1])
    assert np.array_equal(draw_views(hashes[some], policy, 3, 5), views[some])
    assert np.array_equal(draw_views(hashes[:1], policy, 3, 5), views[:1])


@pytest.mark.parametrize("policy", [CROP, AREA])
def test_another_seed_and_another_number_give_other_views(policy: ViewPolicy) -> None:
    hashes = hashes_of(50)
    views = draw_views(hashes, policy, seed=3, number=5)

    for seed, number in ((4, 5), (3, 6), (5, 3)):
        assert not np.array_equal(draw_views(hashes, policy, seed, number), views)


def test_views_stay_the_same_across_versions() -> None:
    """Stored labels are of views: other integers for the same seed would make every store worthless."""
    hashes = np.arange(64, dtype=np.uint8).reshape(2, 32)

    assert draw_views(hashes, CROP, seed=0, number=0).tolist() == [[-2, 2, 32, 32, 0], [2, -1, 32, 32, 0]]
    assert draw_views(hashes, AREA, seed=1, number=2).tolist() == [[0, 5, 16, 14, 0], [0, 0, 32, 25, 0]]


def test_padding_4_and_a_flip_make_162_views_all_equally_likely() -> None:
    rounds, images = 60, 500
    counts: Counter[tuple[int, ...]] = Counter()
    for number in range(rounds):
        counts.update(tuple(view) for view in draw_views(hashes_of(images), CROP, 0, number).tolist())

    assert set(counts) == {(y, x, 32, 32, flip) for y in range(-4, 5) for x in range(-4, 5) for flip in (0, 1)}
    # 161 degrees of freedom: above 240 once in 40,000 draws, and this draw is fixed.
    assert distances(list(counts.values()), rounds * images / 162) < 240


def test_without_padding_and_flip_every_view_is_the_whole_image() -> None:
    views = draw_views(hashes_of(20), ViewPolicy(size=48), seed=1, number=2)

    assert views.tolist() == [[0, 0, 48, 48, 0]] * 20


@pytest.mark.parametrize("policy", [CROP._replace(flip=False), AREA._replace(flip=False)])
def test_a_policy_without_flip_never_flips(policy: ViewPolicy) -> None:
    with_flip = policy._replace(flip=True)
    views, flipping = (draw_views(hashes_of(100), p, 0, 0) for p in (policy, with_flip))

    assert not views[:, 4].any()
    assert 25 < flipping[:, 4].sum() < 75
    assert np.array_equal(views[:, :4], flipping[:, :4])


def many_areas(policy: ViewPolicy) -> npt.NDArray[np.int32]:
    return np.concatenate([draw_views(hashes_of(500), policy, 0, number) for number in range(10)])


def test_resized_crops_lie_inside_the_image() -> None:
    views = many_areas(AREA)
    y, x, height, width = views[:, :4].T

    assert y.min() == 0 and x.min() == 0
    assert height.min() >= 1 and width.min() >= 1
    assert (y + height).max() == 32 and (x + width).max() == 32


def test_resized_crops_have_areas_and_shapes_in_their_ranges() -> None:
    size = 1000  # so large that rounding to pixels is small
    height, width = many_areas(ViewPolicy(size, area=(0.25, 0.5)))[:, 2:4].T / size
    share, shape = height * width, width / height

    assert 0.248 < share.min() < 0.26 and 0.49 < share.max() < 0.502
    assert 0.745 < shape.min() < 0.76 and 1.32 < shape.max() < 1.34
    assert abs(share.mean() - 0.375) < 0.005
    assert abs(np.log(shape).mean()) < 0.01


def test_a_resized_crop_of_the_smallest_area_has_at_least_one_pixel() -> None:
    views = many_areas(ViewPolicy(8, area=(1e-6, 1e-6)))

    assert np.array_equal(views[:, 2:4], np.ones((len(views), 2)))


def test_no_images_have_no_views() -> None:
    assert draw_views(hashes_of(0), CROP, 0, 0).shape == (0, 5)

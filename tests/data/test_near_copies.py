from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sskt_edge.common.progress import QUIET
from sskt_edge.data import near_copies
from sskt_edge.data.copies import Parts, join_parts
from sskt_edge.data.images import ImageSet
from sskt_edge.data.near_copies import NEAR, SIZE, find_near_copies, perceptual_hashes
from sskt_edge.images.decode import decode, to_square


def scene(seed: int) -> Image.Image:
    """Soft shapes with some grain, 150 × 120, as a photograph has them."""
    draw = np.random.default_rng(seed)
    soft = Image.fromarray(draw.integers(0, 256, (12, 15, 3), dtype=np.uint8)).resize(
        (150, 120), Image.Resampling.BICUBIC
    )
    grain = draw.integers(-6, 7, (120, 150, 3))
    return Image.fromarray(np.clip(np.asarray(soft).astype(int) + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, scale: float, quality: int) -> Image.Image:
    small = image.resize((int(image.width * scale), int(image.height * scale)))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return decode(file.getvalue(), "copy")


def bits_of(images: list[Image.Image]) -> NDArray[np.bool_]:
    return perceptual_hashes(np.stack([to_square(image, SIZE) for image in images]), QUIET)


def parts_of(training: int, test: int, contents: list[int] | None = None) -> Parts:
    """Images of one class, each of another content unless `contents` says otherwise."""
    hashes = np.random.default_rng(0).integers(0, 256, (training + test, 32), dtype=np.uint8)
    hashes = hashes[contents] if contents else hashes
    names = [f"{number}" for number in range(training + test)]
    return join_parts(
        {
            "training": ImageSet({}, np.zeros(training, np.int64), hashes[:training], tuple(names[:training])),
            "test": ImageSet({}, np.zeros(test, np.int64), hashes[training:], tuple(names[training:])),
        }
    )


@pytest.mark.parametrize(("scale", "quality"), [(1, 60), (0.5, 60), (0.5, 90)])
def test_a_resized_and_encoded_copy_is_found_and_nothing_else(scale: float, quality: int) -> None:
    scenes = [scene(seed) for seed in range(20)]
    bits = bits_of([*scenes, encoded(scenes[7], scale, quality)])

    found = find_near_copies(parts_of(20, 1), bits, NEAR, QUIET)

    assert [(pairs.part, pairs.of, pairs.examples) for pairs in found.shared] == [("test", "training", (("20", "7"),))]
    assert found.repeated.count == found.two_classes.count == 0


def test_images_of_equal_content_are_not_near_copies() -> None:
    bits = bits_of([scene(0), scene(1), scene(0)])

    assert find_near_copies(parts_of(2, 1, [0, 1, 0]), bits, NEAR, QUIET).shared == ()
    assert find_near_copies(parts_of(2, 1), bits, NEAR, QUIET).shared[0].count == 1


@pytest.mark.parametrize("distance", [3, 4])
def test_the_distance_is_the_number_of_bits_that_differ(distance: int) -> None:
    bits = np.zeros((2, 256), dtype=np.bool_)
    bits[1, :4] = True

    assert len(find_near_copies(parts_of(1, 1), bits, distance, QUIET).shared) == (distance == 4)


def test_blocks_change_nothing_and_the_nearest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = np.random.default_rng(0).random((30, 256)) < 0.5
    bits[25], bits[29] = bits[4], bits[3]
    bits[25, :9], bits[4, 20:23] = ~bits[25, :9], ~bits[4, 20:23]
    bits[8] = bits[25]
    parts = parts_of(20, 10)
    whole = find_near_copies(parts, bits, 20, QUIET)

    assert whole.shared[0].examples == (("29", "3"), ("25", "8"))
    assert whole.repeated.examples == (("8", "4"),)
    monkeypatch.setattr(near_copies, "BLOCK", 7)
    assert find_near_copies(parts, bits, 20, QUIET) == whole

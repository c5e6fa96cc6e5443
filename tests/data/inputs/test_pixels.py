from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sskt_edge.data.inputs.pixels import IMAGENET_MEAN, IMAGENET_STD, Pixels

IMAGES = torch.randint(0, 256, (2, 6, 6, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_each_value_is_scaled_and_normalised_by_its_channel() -> None:
    planes = Pixels(6)(IMAGES)

    assert planes.dtype == torch.float32
    assert planes.shape == (2, 3, 6, 6)
    for channel in range(3):
        for row, column in ((0, 0), (2, 5), (4, 1)):
            value = int(IMAGES[1, row, column, channel])
            expected = (value / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
            assert planes[1, channel, row, column].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("images", [IMAGES, IMAGES.flip(2), IMAGES.transpose(1, 2), IMAGES[..., [2, 1, 0]]])
def test_whole_rows_have_the_bits_of_the_exported_graph(images: torch.Tensor) -> None:
    pixels, before = Pixels(6), images.clone()
    graph = torch.export.export(pixels, (images,), strict=False).module()

    assert torch.equal(pixels(images), graph(images))
    assert torch.equal(images, before)


def test_a_mean_and_std_of_ones_own() -> None:
    planes = Pixels(6, mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 2.0))(torch.full((1, 6, 6, 3), 255, dtype=torch.uint8))

    assert planes[0, :, 0, 0].tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("size", [14, 4])
def test_another_side_is_resized_bilinearly_with_half_pixel_centres(size: int) -> None:
    planes = (IMAGES.permute(0, 3, 1, 2) / 255 - torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1)) / torch.tensor(
        IMAGENET_STD
    ).reshape(1, 3, 1, 1)
    expected = F.interpolate(planes, (size, size), mode="bilinear", align_corners=False)

    torch.testing.assert_close(Pixels(size)(IMAGES), expected, atol=1e-5, rtol=0)


def test_doubling_by_hand() -> None:
    """0 and 100 side by side, doubled: the centres lie at -1/4, 1/4, 3/4, 5/4 of a pixel."""
    images = torch.tensor([[0, 100], [0, 100]], dtype=torch.uint8)[None, :, :, None].expand(1, 2, 2, 3)

    planes = Pixels(4, mean=(0, 0, 0), std=(1, 1, 1))(images)

    assert (255 * planes[0, 0, 0]).tolist() == pytest.approx([0, 25, 75, 100], abs=1e-4)


def test_it_has_no_weights_to_save() -> None:
    assert Pixels(6).state_dict() == {}
    assert list(Pixels(6).parameters()) == []

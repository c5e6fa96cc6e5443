"""The target's input is changed after its view was cut: colours and erased rectangles, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.recipe.input_options import InputOptions
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.input_changes import Changes, changed_input, draw_changes, with_factors
from tests.training.labelled import Asked, Images

SIZE = 12
PIXELS = Pixels(SIZE)
IMAGES = torch.randint(0, 256, (6, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CLIPS = torch.randint(0, 256, (6, 4, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ALL = InputOptions(brightness=0.4, contrast=0.3, saturation=0.2, erasing=0.5)
COLOURS = ALL.model_copy(update={"erasing": 0.0})


def test_without_changes_the_input_is_the_views_to_the_bit() -> None:
    changes = draw_changes(InputOptions(), 0, 0, 6, SIZE)
    assert changes == Changes()
    assert torch.equal(changed_input(IMAGES, PIXELS, changes), PIXELS(IMAGES))


def test_a_steps_changes_depend_on_its_seed_and_number_alone() -> None:
    first, again = (draw_changes(ALL, 3, 7, 5, SIZE) for _ in range(2))
    assert first.factors is not None and first.erased is not None
    np.testing.assert_array_equal(first.factors, again.factors)
    np.testing.assert_array_equal(first.erased, again.erased)
    for other in (draw_changes(ALL, 4, 7, 5, SIZE), draw_changes(ALL, 3, 8, 5, SIZE)):
        assert other.factors is not None and not np.array_equal(first.factors, other.factors)
    np.testing.assert_array_equal(first.factors, draw_changes(COLOURS, 3, 7, 5, SIZE).factors)


def test_factors_are_uniform_in_their_range_and_1_where_a_key_is_0() -> None:
    options = InputOptions(brightness=0.4, saturation=0.2)
    factors = draw_changes(options, 0, 0, 4000, SIZE).factors
    assert factors is not None and (factors[:, 1] == 1).all()
    for column, largest in ((0, 0.4), (2, 0.2)):
        values = factors[:, column]
        assert 1 - largest <= values.min() < 1 - 0.98 * largest and 1 + 0.98 * largest < values.max() <= 1 + largest
        assert values.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("images", [IMAGES, CLIPS], ids=["images", "clips"])
def test_colours_are_blended_with_grey_its_mean_and_black(images: torch.Tensor) -> None:
    factors = torch.tensor([[1.3, 1.0, 1.0], [1.0, 0.6, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.2, 1.2]])
    factors = torch.cat([factors, torch.tensor([[0.8, 0.7, 0.6]])])
    found = with_factors(images, factors).double()
    given = images.double()
    grey = (given * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)).sum(dim=-1, keepdim=True)

    def close(row: int, expected: torch.Tensor) -> None:
        torch.testing.assert_close(found[row], expected.clamp(0, 255), rtol=0, atol=1e-3)

    close(0, given[0] * 1.3)
    close(1, 0.6 * given[1] + 0.4 * grey[1].mean())
    close(2, grey[2].expand_as(given[2]))
    close(3, given[3])
    close(4, torch.zeros_like(given[4]))
    saturated = 0.6 * given[5] + 0.4 * grey[5]
    close(5, 0.8 * (0.7 * saturated + 0.3 * grey[5].mean()))
    assert images.dtype == torch.uint8 and torch.equal(given, images.double())  # the views stay


@pytest.mark.parametrize("images", [IMAGES, CLIPS], ids=["images", "clips"])
def test_only_an_images_rectangle_is_erased_and_the_order_stays(images: torch.Tensor) -> None:
    erased = np.array([[0, 0, 3, 5], [2, 4, 10, 8], [0, 0, 0, 0], [11, 11, 1, 1], [0, 0, 12, 12], [5, 5, 0, 0]])
    found, whole = changed_input(images, PIXELS, Changes(erased=erased)), PIXELS(images)
    for row, (y, x, height, width) in enumerate(erased.tolist()):
        inside = torch.zeros_like(whole[row], dtype=torch.bool)
        inside[..., y : y + height, x : x + width] = True
        assert torch.equal(found[row], whole[row].masked_fill(inside, 0.0)), row


def test_rectangles_lie_in_the_image_with_the_share_and_area_asked_for() -> None:
    options = InputOptions(erasing=0.25, erasing_area=(0.1, 0.2))
    erased = draw_changes(options, 1, 2, 8000, 64).erased
    assert erased is not None and (erased >= 0).all()
    y, x, height, width = erased.T
    assert (y + height <= 64).all() and (x + width <= 64).all()
    some = height > 0
    assert some.mean() == pytest.approx(0.25, abs=0.02) and (width[~some] == 0).all()
    area = (height * width)[some] / 64**2
    assert 0.08 < area.min() < 0.11 and 0.19 < area.max() < 0.22
    assert {0, 64} <= {*y[some].tolist(), *(y + height)[some].tolist()}


def test_a_source_is_not_asked_again_and_the_store_stays(
    tiny_teacher: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, asked = Images(tmp_path, tiny_teacher), Asked(monkeypatch)
    told = ["data.per_class=5", "data.unlabelled=rest", "train.epochs=2"]
    changes = [
        "train.ema=0.9",
        "train.input.erasing=0.5",
        "train.input.contrast=0.4",
        "train.mixing={mixup=1, cutmix=1}",
    ]

    def stored() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in images.store.rglob("*.safetensors")}

    plain, labels, batches = images.weights(*told), stored(), asked.batches
    assert labels and batches
    assert images.weights(*told, *changes) != plain
    assert (stored(), asked.batches) == (labels, batches)

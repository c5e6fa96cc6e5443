"""What a source is shown of a view; what of it decides a label is part of the label's key."""

from __future__ import annotations

import numpy as np
import pytest

from sskt_edge.catalogue.source_views import SOURCE_VIEWS, SourceViewEntry
from sskt_edge.common.errors import RecipeError
from sskt_edge.data.inputs.image.cut import cut_views
from sskt_edge.recipe import parse_recipe
from sskt_edge.sources.views.source_view import SourceView, source_view
from sskt_edge.sources.views.square_view import SquareView
from tests.sources.queries import SIZE, view_schedule


@pytest.mark.parametrize(
    ("input_size", "own", "target", "size"),
    [(224, 160, 64, 160), (224, 500, 64, 224), (224, 32, 32, 32), (32, 500, 64, 32), (224, 8, 32, 32)],
)
def test_native_is_what_the_source_can_use_and_the_images_can_give(
    input_size: int, own: int, target: int, size: int
) -> None:
    assert source_view("native", input_size, own, target).size == size


def test_an_upsampled_view_has_the_pixels_of_the_target() -> None:
    view, schedule, slots = source_view("upsampled", 224, 160, SIZE), view_schedule(), np.array([0, 7, 12])
    rows, views = schedule.rows(slots), schedule.views(slots)

    batch = view.batch(schedule.images, rows, views)

    np.testing.assert_array_equal(batch, cut_views(schedule.images.resized[SIZE], rows, views, SIZE))


def test_the_facts_in_a_labels_key_are_those_of_stores_that_exist() -> None:
    """Another fact, or another name for it, would have all labels queried again."""
    assert source_view("native", 224, 160, 64).facts() == {"how": "native", "square": 160, "view_side": 64, "cut": 1}
    assert source_view("upsampled", 224, 160, 64).facts() == {
        "how": "upsampled",
        "square": 64,
        "view_side": 64,
        "cut": 1,
    }


def thumbnail(input_size: int, own_size: int, target_size: int) -> SourceView:
    return SquareView("thumbnail", min(input_size, own_size, target_size) // 2, target_size)


RECIPE = """
name = "x"
[data]
name = "digits"
[target]
model = "resnet20"
[[sources]]
name = "a"
model = "onnx/a.onnx"
view = "thumbnail"
"""


def test_a_further_view_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"sources\.0\.view: unknown value 'thumbnail'\..*native"):
        parse_recipe(RECIPE)

    monkeypatch.setitem(SOURCE_VIEWS, "thumbnail", SourceViewEntry("thumbnail", "half of it", f"{__name__}:thumbnail"))

    (source,) = parse_recipe(RECIPE).sources
    assert source_view(source.view, 224, 160, 64).size == 32

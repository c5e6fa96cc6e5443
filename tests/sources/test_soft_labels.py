"""The same view gets the same labels, whatever the turn, whether they are stored or asked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.sources.engine_selection import Choice
from sskt_edge.sources.fill import fill
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.soft_labels import SoftLabels, native_side
from sskt_edge.sources.store.label_format import label_format
from sskt_edge.sources.store.store import LabelStore
from tests.sources.questions import BATCH, COUNT, SIDE, question, small_source, wanted


@pytest.mark.parametrize("top_k", [0, 3])
@pytest.mark.parametrize("views", [1, 2, "fresh"])
@pytest.mark.parametrize("side", [SIDE, 2 * SIDE])
def test_stored_labels_and_those_asked_anew_are_the_same_to_the_bit(
    views: int | str, side: int, top_k: int, tmp_path: Path
) -> None:
    asked, source = wanted(views=views, turns=3), small_source()  # type: ignore[arg-type]
    whole = question(source, asked, side=side)
    engine = source.engines()[0]
    collection = whole.collection(LabelStore(tmp_path), engine, top_k)
    # At so high a T nothing of the tail is lost.
    fill(whole, Choice(engine, "a test"), collection, "a test", 1e3, QUIET, lambda: None)
    stored = collection.open(asked.keys)
    session, form = source.open(engine, side, BATCH), label_format(source.classes, top_k)
    online = OnlineLogits("small", session, side, form, asked, QUIET, lambda: None)
    assert stored
    of_store, of_source = SoftLabels(asked, {"small": stored}), SoftLabels(asked, {"small": online})
    random = np.random.default_rng(0)
    for turns in (np.arange(3).repeat(COUNT), random.integers(0, 3, 7), np.array([2])):
        rows = random.integers(0, COUNT, len(turns))
        for ours, theirs in zip(of_store.of(turns, rows), of_source.of(turns, rows), strict=True):
            np.testing.assert_equal(ours, theirs)
        seen, soft = of_store.of(turns, rows)
        assert seen.shape == (len(turns), 5)
        assert soft["small"].dtype == np.float32
        assert soft["small"].shape == (len(turns), 5)


@pytest.mark.parametrize(
    ("input_size", "own", "target", "side"),
    [(224, 160, 64, 160), (224, 500, 64, 224), (224, 32, 32, 32), (32, 500, 64, 32), (224, 8, 32, 32)],
)
def test_native_squares_have_what_the_source_can_use_and_the_images_can_give(
    input_size: int, own: int, target: int, side: int
) -> None:
    assert native_side(input_size, own, target) == side

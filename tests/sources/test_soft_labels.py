"""The same view gets the same labels, whatever the pass, whether they are stored or asked again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.fill import fill
from sskt_edge.sources.online import OnlineLogits
from sskt_edge.sources.soft_labels import SoftLabels
from sskt_edge.sources.store.store import LabelStore
from tests.sources.queries import COUNT, SIZE, label_query, small_source, view_schedule


@pytest.mark.parametrize("top_k", [0, 3])
@pytest.mark.parametrize("views", [1, 2, "fresh"])
@pytest.mark.parametrize("size", [SIZE, 2 * SIZE])
def test_stored_labels_and_those_asked_again_are_the_same_to_the_bit(
    views: int | str, size: int, top_k: int, tmp_path: Path
) -> None:
    schedule, source = view_schedule(views=views, passes=3), small_source()  # type: ignore[arg-type]
    query = label_query(source, schedule, size=size, top_k=top_k)
    engine = source.engines()[0]
    collection = query.collection(LabelStore(tmp_path), engine)
    # At so high a T nothing of the tail is lost.
    fill(query, EngineChoice(engine, "a test"), collection, "a test", 1e3, QUIET)
    stored = collection.open(schedule.keys)
    online = OnlineLogits(query, query.open(engine), schedule, QUIET)
    assert stored
    of_store, of_source = SoftLabels(schedule, {"small": stored}), SoftLabels(schedule, {"small": online})
    random = np.random.default_rng(0)
    for passes in (np.arange(3).repeat(COUNT), random.integers(0, 3, 7), np.array([2])):
        rows = random.integers(0, COUNT, len(passes))
        for ours, theirs in zip(of_store.of(passes, rows), of_source.of(passes, rows), strict=True):
            np.testing.assert_equal(ours, theirs)
        seen, soft = of_store.of(passes, rows)
        assert seen.shape == (len(passes), 5)
        assert soft["small"].dtype == np.float32
        assert soft["small"].shape == (len(passes), 5)

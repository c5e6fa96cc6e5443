"""What a filling notes is read again, and what others wrote in its place harms nobody."""

from __future__ import annotations

from pathlib import Path

from sskt_edge.common.progress import QUIET
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.fill import fill
from sskt_edge.sources.fill_messages import fill_messages
from sskt_edge.sources.fill_record import fill_records
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.store.collection import Collection
from sskt_edge.sources.store.store import LabelStore
from tests.sealed import changed
from tests.sources.queries import COUNT, image_set, label_query, small_source, view_schedule

TORCH = ENGINES["torch-fp32"]
MEASURED = GateVerdict(TORCH, "cpu", 50.0, 0.001, 0.97, 0.99, 0.8, True, "", 0.0)


def filled(store: LabelStore) -> Collection:
    query = label_query(small_source())
    collection = query.collection(store, TORCH)
    fill(query, EngineChoice(TORCH, "a test", (MEASURED,), 50.0), collection, "my recipe", 2.0, QUIET)
    return collection


def test_a_filling_says_for_what_and_by_what_it_was_done(tmp_path: Path) -> None:
    (record,) = fill_records(filled(LabelStore(tmp_path)))
    assert (record.recipe, record.source, record.images, record.temperature) == ("my recipe", "small", COUNT, 2.0)
    assert (record.views["views"], record.images_per_second) == (2, 50.0)
    assert record.gate is not None
    assert (record.gate.kl, record.gate.same, record.gate.agreement, record.gate.near_tie) == (0.001, 0.97, 0.99, 0.8)


def test_what_others_wrote_is_left_out(tmp_path: Path) -> None:
    store = LabelStore(tmp_path)
    collection = filled(store)
    with changed(collection.path / "manifest.json") as manifest:
        (about,) = manifest["fills"].values()
        manifest["fills"] = {"1": {**about, "views": 3}, "2": {}, "3": {**about, "gate": {"kl": "none"}}}
    assert fill_records(collection) == []
    query = label_query(small_source(), view_schedule(image_set(COUNT + 1)))
    assert len(fill_messages(query, EngineChoice(TORCH, "a test"), collection, store)) == 2

"""What is said before a fill names what changed since the last one, and what it will cost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from sskt_edge.common.progress import QUIET
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.sources.engine_selection import EngineChoice
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.fill import fill
from sskt_edge.sources.fill_messages import fill_messages
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.store.store import LabelStore
from tests.sources.queries import COUNT, SIZE, image_set, label_query, small_source, view_schedule

TORCH = ENGINES["torch-fp32"]
MEASURED = GateVerdict(TORCH, "cpu", 0.1, 0.0, 1.0, 1.0, 0.8, True, "", 0.0)


def said(query: LabelQuery, store: LabelStore, why: str = "a test") -> list[str]:
    return fill_messages(query, EngineChoice(TORCH, why), query.collection(store, TORCH), store)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LabelStore:
    """With the labels of ten images."""
    found = LabelStore(tmp_path_factory.mktemp("store"))
    query = label_query(small_source())
    collection = query.collection(found, TORCH)
    fill(query, EngineChoice(TORCH, "a test", (MEASURED,), 0.1), collection, "a test", 1.0, QUIET)
    return found


def test_an_empty_store_only_costs(tmp_path: Path) -> None:
    query = label_query(small_source())
    (line,) = said(query, LabelStore(tmp_path))
    assert line.startswith(f"small: {query.views} of {query.views} views to query with torch-fp32 (a test), 1 kB in '")


def test_a_full_store_costs_nothing(store: LabelStore) -> None:
    (line,) = said(label_query(small_source()), store)
    assert line.startswith("small: all 20 labels are in '")
    assert line.endswith("' (torch-fp32)")


def test_new_images_are_named_with_the_time_of_the_last_measurement(store: LabelStore) -> None:
    named, cost = said(label_query(small_source(), view_schedule(image_set(COUNT + 5))), store)
    assert named == "small: no labels yet of 5 of 15 images: train[10], train[11], train[12] and 2 more"
    assert cost.startswith("small: 10 of 30 views to query")
    assert "about 1 min 40 s" in cost


def test_a_changed_image_is_named(store: LabelStore) -> None:
    images, others = image_set(), image_set(first=50)
    hashes = images.hashes.copy()
    hashes[3] = others.hashes[3]
    changed = dataclasses.replace(images, hashes=hashes)
    named, cost = said(label_query(small_source(), view_schedule(changed)), store)
    assert named == "small: no labels yet of 1 of 10 images: train[3]"
    assert cost.startswith("small: 2 of 20 views to query")


@pytest.mark.parametrize(
    ("views", "difference"),
    [
        ({"policy": ViewPolicy(SIZE, padding=1, flip=True)}, "padding 2 then, 1 now"),
        ({"policy": ViewPolicy(SIZE, area=(0.5, 1.0))}, "padding 2 then, 0 now; area None then, [0.5, 1.0] now"),
        ({"seed": 5}, "seed 0 then, 5 now"),
        ({"views": 3}, "views 2 then, 3 now"),
    ],
)
def test_other_views_are_named(views: dict[str, object], difference: str, store: LabelStore) -> None:
    lines = said(label_query(small_source(), view_schedule(**views)), store)  # type: ignore[arg-type]
    assert lines[-2].startswith(f"small: other views than before: {difference}")


def test_fewer_views_are_not_called_others(store: LabelStore) -> None:
    lines = said(label_query(small_source(), view_schedule(image_set(COUNT + 1), views=1)), store)
    assert [line.partition(" of ")[0] for line in lines] == ["small: no labels yet", "small: 1"]


def test_views_of_an_earlier_fill_are_not_called_others(tmp_path: Path) -> None:
    store, source = LabelStore(tmp_path), small_source()
    for seed in (0, 1):
        query = label_query(source, view_schedule(seed=seed))
        fill(query, EngineChoice(TORCH, ""), query.collection(store, TORCH), "a test", 1.0, QUIET)
    lines = said(label_query(source, view_schedule(image_set(COUNT + 1))), store)
    assert [line.partition(" of ")[0] for line in lines] == ["small: no labels yet", "small: 2"]


@pytest.mark.parametrize(
    ("source", "difference"),
    [
        (small_source(seed=1), "source.weights: "),
        (small_source(mean=(0.5, 0.5, 0.5)), "source.mean: [0.485, 0.456, 0.406] then, [0.5, 0.5, 0.5] now"),
    ],
)
def test_another_source_of_the_same_name_is_told_by_what_changed(
    source: object, difference: str, store: LabelStore
) -> None:
    changed, cost = said(label_query(source), store)  # type: ignore[arg-type]
    (path,) = (one.path.name for one in store.collections())
    made_with = "other weights or another input of the source"
    assert changed.startswith(
        f"small: new labels are needed, since those in '{path}' were made with {made_with} ({difference}"
    )
    assert ";" not in changed
    assert cost.startswith("small: 20 of 20 views")


def test_another_top_k_and_another_square_are_named(store: LabelStore) -> None:
    assert "another top_k (top_k: 0 then, 3 now)" in said(label_query(small_source(), top_k=3), store)[0]
    another_square = said(label_query(small_source(), size=2 * SIZE), store)[0]
    assert another_square.endswith("were made with other views of the images (sees.square: 8 then, 16 now)")


def test_another_engine_is_named_only_if_it_is_the_only_difference(store: LabelStore) -> None:
    onnx = EngineChoice(ENGINES["onnxruntime-fp32"], "a test")
    lines = []
    for size in (SIZE, 2 * SIZE):
        query = label_query(small_source(), size=size)
        lines.append(fill_messages(query, onnx, query.collection(store, onnx.engine), store)[0])
    assert "another engine (engine.backend: torch then, onnxruntime now" in lines[0]
    assert "(sees.square: 8 then, 16 now)" in lines[1]
    assert "engine" not in lines[1]


def test_another_model_of_the_same_name_is_told(store: LabelStore) -> None:
    """What the recipe calls a source may become another network."""
    whole = small_source()
    other = TorchSource(whole.name, "another/model", whole.network, whole.pixels, torch.device("cpu"))
    changed, cost = said(label_query(other), store)
    (path,) = (one.path.name for one in store.collections())
    assert changed == (
        f"small: new labels are needed, since those in '{path}' were made with another model "
        f"(model: {whole.facts['model']} then, another/model now)"
    )
    assert cost.startswith("small: 20 of 20 views")

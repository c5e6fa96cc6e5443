"""What a recipe's method makes of its labels: who judges the engines, and which labels may then be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sskt_edge.common.progress import QUIET, Notes
from sskt_edge.data.images import ImageSet
from sskt_edge.recipe import Recipe
from sskt_edge.sources.engines import ENGINES
from sskt_edge.sources.gate import GateVerdict
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.targets.precision import has_fast_int8
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.fill_store import fill_store
from sskt_edge.training.inputs import open_inputs
from sskt_edge.training.label_queries import sources_of
from sskt_edge.training.plan import plan_labels
from sskt_edge.training.rank_sources import rank_sources
from sskt_edge.training.train import train
from tests.training.labelled import Asked, Images

CPU = torch.device("cpu")
TORCH = ("labels.engine=torch", "labels.precision=fp32")
PROBE = "method.name=probe"


@pytest.fixture
def images(tiny_teacher: TrainedNetwork, tmp_path: Path) -> Images:
    """Two classes that any network tells apart: bright noise and dark noise."""
    images = Images(tmp_path, tiny_teacher)
    for path in images.root.rglob("a/*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 8).save(path)
    return images


def verdicts(recipe: Recipe) -> tuple[GateVerdict, ...]:
    sources = sources_of(recipe, open_inputs(recipe, CPU, QUIET), CPU, QUIET)
    (query,) = sources.queries
    return sources.selector(query).survey().verdicts


@pytest.mark.parametrize(
    ("told", "judge"),
    [
        (("method.name=sskt",), "logits"),
        ((PROBE,), "probe"),
        ((PROBE, "method.branches={}"), "logits"),  # branches learn the logits
    ],
)
def test_engines_are_judged_by_what_the_method_reads(told: tuple[str, ...], judge: str, images: Images) -> None:
    (verdict,) = verdicts(images.recipe(*TORCH, *told))
    assert verdict.judge == judge and verdict.passed and bool(verdict.labelled) == (judge == "probe")


def test_a_class_with_one_image_among_the_views_is_said(images: Images) -> None:
    notes, recipe = Notes(), images.recipe(*TORCH, PROBE)
    inputs = open_inputs(recipe, CPU, QUIET)
    # As if no other image of b were among the views.
    rows = np.flatnonzero((inputs.images.labels == 0) | (np.cumsum(inputs.images.labels == 1) == 1))
    names = tuple(inputs.images.names[row] for row in rows)
    resized = {size: array[rows] for size, array in inputs.images.resized.items()}
    few = ImageSet(resized, inputs.images.labels[rows], inputs.images.hashes[rows], names)
    sources = sources_of(recipe, replace(inputs, images=few), CPU, notes)
    (verdict,) = sources.selector(sources.queries[0]).survey().verdicts
    assert verdict.judge == "logits"
    told = "teacher: engines are judged by their logits alone, not by a probe: class 'b' has fewer than two"
    assert told in notes.lines[0]


@pytest.mark.slow
@pytest.mark.skipif(not has_fast_int8(), reason="no int8 instructions here")
def test_a_plan_says_what_int8_would_be_where_a_probe_alone_reads(images: Images) -> None:
    for told, int8 in (((PROBE,), True), ((PROBE, "method.branches={}"), False), (("method.name=sskt",), False)):
        (source,) = plan_labels(images.recipe(*told)).sources
        engines = {verdict.engine.precision for verdict in source.verdicts}
        assert ("int8" in engines) == int8
        assert {verdict.judge for verdict in source.verdicts} == {"probe" if int8 else "logits"}
    assert not images.store.exists()


@pytest.mark.slow
@pytest.mark.skipif(not has_fast_int8(), reason="no int8 instructions here")
def test_int8_labels_serve_a_ranking_and_a_probe_but_not_logits(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ("labels.engine=onnxruntime", "labels.precision=int8", "labels.gate={probe_kl=1, probe_agreement=0}")
    (ranked,) = rank_sources(images.recipe(*told))
    assert ranked.engines == ("onnxruntime-int8",)
    (collection,) = LabelStore(images.store).collections()
    before = collection.rows
    run = train(images.recipe(PROBE, *told), images.runs)
    (collection,) = LabelStore(images.store).collections()
    assert collection.rows == before and run.result.probes["teacher"].value > 0.9

    asked = Asked(monkeypatch)
    filled = fill_store(images.recipe("method.name=sskt"))["teacher"]
    assert filled["engine"] == ENGINES["torch-fp32"].name and filled["asked"] == filled["views"]
    assert asked.batches > 0

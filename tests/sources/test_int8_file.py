"""The int8 file of a source, and the labels that its engines give."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sskt_edge.common.errors import NetworkError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.sources.engine_rules import EngineRules
from sskt_edge.sources.engine_selection import EngineSelector
from sskt_edge.sources.engines import ENGINES, SourceEngine, engine_facts, int8_engines_here
from sskt_edge.sources.int8_file import int8_facts, int8_from_source
from sskt_edge.sources.judge import divergence
from sskt_edge.sources.label_query import LabelQuery
from sskt_edge.sources.source import TorchSource
from sskt_edge.sources.store.store import LabelStore
from sskt_edge.targets.precision import has_fast_int8
from tests.sources.queries import image_set, label_query, view_schedule
from tests.sources.small import CPU, images

SIDE = 16
TORCH = ENGINES["torch-fp32"]
HERE = int8_engines_here(TORCH, CPU)
NEEDS_INT8 = pytest.mark.skipif(not has_fast_int8(), reason="no int8 instructions here")


@pytest.fixture(scope="module")
def source() -> TorchSource:
    """Three convolutions and a last layer, exported once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pairs = [(nn.Conv2d(before, 8, 3, padding=1), nn.ReLU()) for before in (3, 8, 8)]
        layers = [layer for pair in pairs for layer in pair]
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    return TorchSource("small", "test/small", net, Pixels(SIDE), CPU)


def test_the_layers_between_the_ends_are_quantised(source: TorchSource) -> None:
    graph = onnx.load_from_string(int8_from_source(source.onnx(SIDE), images(8, SIDE))).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    quantised = [makers.get(node.input[1]) == "DequantizeLinear" for node in layers]
    assert quantised == [False, True, True, False]


def test_the_same_images_give_the_same_file_and_others_another(source: TorchSource) -> None:
    content = source.onnx(SIDE)
    first, *others = (int8_from_source(content, images(8, SIDE, seed=seed)) for seed in range(4))
    assert int8_from_source(content, images(8, SIDE, seed=0)) == first
    assert first not in others


def test_the_facts_say_what_the_file_depends_on() -> None:
    facts = int8_facts(b"views")
    assert facts == int8_facts(b"views") != int8_facts(b"other views")
    assert facts["made_by"]["onnx"] == onnx.__version__ and facts["made_by"]["onnxruntime"]


@NEEDS_INT8
@pytest.mark.parametrize("engine", HERE, ids=lambda engine: engine.name)
def test_an_engine_answers_nearly_as_torch_does(source: TorchSource, engine: SourceEngine) -> None:
    query = label_query(source, size=SIDE)
    batch = query.sample()[0]
    expected, given = query.open(TORCH).run(batch), query.open(engine).run(batch)
    assert 0 < np.abs(given - expected).max() < 0.1 * np.ptp(expected)
    assert divergence(expected, given).mean() < 0.01


@NEEDS_INT8
def test_labels_of_other_calibration_images_are_kept_apart(source: TorchSource, tmp_path: Path) -> None:
    store = LabelStore(tmp_path)

    def folder(*schedules: object) -> Path:
        query: LabelQuery = label_query(source, *schedules)  # type: ignore[arg-type]
        return query.collection(store, HERE[0]).path

    whole = folder(view_schedule(image_set(10)))
    assert folder(view_schedule(image_set(10), views=1)) == whole  # a ranking asks fewer views than a training
    assert folder(view_schedule(image_set(10)), view_schedule(image_set(5, first=50))) == whole  # and no unlabelled
    assert folder(view_schedule(image_set(11))) != whole
    facts = label_query(source).facts(TORCH)["engine"]
    assert facts == engine_facts(TORCH, CPU)


def test_it_is_offered_only_where_it_is_fast_and_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sskt_edge.sources.engines.has_fast_int8", lambda: True)
    assert {engine.precision for engine in int8_engines_here(TORCH, CPU)} == {"int8"}
    assert int8_engines_here(TORCH, torch.device("cuda")) == ()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "onnxruntime", None)
        assert int8_engines_here(TORCH, CPU) == ()
    monkeypatch.setattr("sskt_edge.sources.engines.has_fast_int8", lambda: False)
    assert int8_engines_here(TORCH, CPU) == ()
    with pytest.raises(NetworkError, match=r"'openvino-int8' does not run here: no int8|openvino"):
        engine_facts(ENGINES["openvino-int8"], CPU)


def test_a_session_without_images_to_calibrate_with_is_refused(source: TorchSource) -> None:
    if HERE:
        with pytest.raises(NetworkError, match="no images were given to calibrate"):
            source.open(HERE[0], SIDE, 4)


@NEEDS_INT8
def test_a_recipe_that_names_int8_gets_it_if_its_logits_pass(source: TorchSource, tmp_path: Path) -> None:
    query = label_query(source)
    rules = EngineRules("onnxruntime", "int8")
    choice = EngineSelector(query, rules, LabelStore(tmp_path), QUIET).choose()
    assert choice.engine == ENGINES["onnxruntime-int8"]
    assert choice.verdict is not None and choice.verdict.judge == "logits"

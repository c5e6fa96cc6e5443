"""A source by TensorRT: no GPU is needed for a stand-in of one, whose engines are ONNX files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.backends.tensorrt import flavours
from sskt_edge.sources.engines import ENGINES, engine_facts, engines_here, open_onnx_session
from sskt_edge.sources.gate import try_engines
from sskt_edge.sources.source import TorchSource
from tests.inference.backends.tensorrt.simulated import simulate
from tests.sources.small import CPU, answers, images, network

CUDA = torch.device("cuda")
SIDE = 20
BY_TENSORRT = [ENGINES["tensorrt-fp32"], ENGINES["tensorrt-fp16"]]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A GPU and a TensorRT that take an ONNX file as it is; what was asked to be built: side, batch, precision."""
    simulated = simulate(monkeypatch)
    asked: list[tuple[Any, ...]] = []

    def build(onnx: bytes, shape: tuple[int, ...], batch: int, precision: str, _: object) -> bytes:
        asked.append((shape[0], batch, precision))
        simulated.smallest = simulated.largest = batch
        return onnx

    monkeypatch.setattr(flavours, "choose", lambda _=None: simulated.flavour())
    monkeypatch.setattr("sskt_edge.inference.backends.tensorrt.backend.cached_engine", build)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Stand-in")
    return asked


@pytest.fixture(scope="module")
def source() -> TorchSource:
    return TorchSource("small", "test/small", network(), Pixels(32), CPU)


@pytest.mark.slow
@pytest.mark.parametrize("engine", BY_TENSORRT, ids=lambda engine: engine.name)
def test_it_answers_as_torch_does_in_batches_of_the_engines_size(
    engine: Any, source: TorchSource, built: list[tuple[Any, ...]]
) -> None:
    shots = images(7, SIDE)
    session = open_onnx_session(source.onnx(SIDE), engine, CUDA, SIDE, 4)

    answer = session.run(shots)

    np.testing.assert_allclose(answer, answers(source, shots), rtol=1e-4 if engine.precision == "fp32" else 0.02)
    assert built == [(SIDE, 4, engine.precision)]
    assert session.precision == engine.precision


@pytest.mark.usefixtures("built")
def test_its_facts_are_those_of_its_session(source: TorchSource) -> None:
    for engine in BY_TENSORRT:
        facts = engine_facts(engine, CUDA)
        session = open_onnx_session(source.onnx(SIDE), engine, CUDA, SIDE, 4)
        assert {key: facts[key] for key in ("backend", "provider", "precision", "versions")} == {
            key: getattr(session, key) for key in ("backend", "provider", "precision", "versions")
        }
        assert facts["processor"] == "Stand-in" and {"tensorrt_rtx", "cuda"} == set(facts["versions"])


@pytest.mark.usefixtures("built")
def test_it_is_offered_where_the_training_runs_on_cuda_alone() -> None:
    reference = ENGINES["torch-fp32"]
    assert set(BY_TENSORRT) <= set(engines_here(reference, CUDA))
    assert not set(BY_TENSORRT) & set(engines_here(reference, CPU))


def test_it_is_not_offered_without_a_gpu() -> None:
    assert not set(BY_TENSORRT) & set(engines_here(ENGINES["torch-fp32"], CUDA))


@pytest.mark.usefixtures("built")
def test_it_stands_behind_the_same_gate(source: TorchSource) -> None:
    """On the way that every engine takes, the source's own device told otherwise."""

    class OnCuda:
        name, classes, input_size = source.name, source.classes, source.input_size

        def open(self, engine: Any, size: int = SIDE, batch: int = 4) -> Any:
            if engine.backend == "torch":
                return source.open(engine, size, batch)
            return open_onnx_session(source.onnx(size), engine, CUDA, size, batch)

    from sskt_edge.common.progress import QUIET
    from sskt_edge.sources.judge import LogitsJudge

    reference, *others = try_engines(
        "source",
        OnCuda().open,
        [ENGINES["torch-fp32"], *BY_TENSORRT],
        [images(4, SIDE), images(4, SIDE)],
        LogitsJudge(),
        QUIET,
    )
    assert [verdict.passed for verdict in (reference, *others)] == [True, True, True]
    assert all(verdict.kl < 1e-4 and verdict.seconds_to_open > 0 for verdict in others)

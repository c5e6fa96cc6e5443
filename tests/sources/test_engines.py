"""Every engine that is installed here runs a source as torch does, and says of itself what it really is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sskt_edge.common.errors import MissingExtraError, NetworkError
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.sources.batchnorm import recalibrate
from sskt_edge.sources.engines import ENGINES, SourceEngine, checked, engine_facts, engines_here
from sskt_edge.sources.source import TorchSource
from tests.sources.small import CPU, answers, images, network

TORCH, ONNX = ENGINES["torch-fp32"], ENGINES["onnxruntime-fp32"]
HERE = engines_here(TORCH, CPU)
EACH = pytest.mark.parametrize("engine", HERE, ids=lambda engine: engine.name)
SIDE = 20


@pytest.fixture(scope="module")
def source() -> TorchSource:
    """Exported once. Its images have another side than its input; its last layer is wide, to be cut for threads."""
    return TorchSource("small", "test/small", network(1000), Pixels(32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)), CPU)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def test_torch_and_onnxruntime_are_here() -> None:
    assert {TORCH, ONNX} <= set(HERE)
    assert HERE[0] == TORCH


@EACH
def test_an_engine_answers_as_torch_does(source: TorchSource, engine: SourceEngine) -> None:
    expected, answer = answers(source, images(6, SIDE)), answers(source, images(6, SIDE), engine)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected, rtol=1e-5 if engine.precision == "fp32" else 0.02)


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("batch", [4, 7])
@pytest.mark.usefixtures("threads")
def test_an_image_gets_the_same_bits_at_every_place_of_a_batch(
    source: TorchSource, engine: SourceEngine, batch: int
) -> None:
    shots, session = images(batch, SIDE), source.open(engine, SIDE, batch)
    answer = session.run(shots)
    for shift in range(1, batch):
        assert np.array_equal(session.run(np.roll(shots, shift, axis=0)), np.roll(answer, shift, axis=0))
    among_others = session.run(np.concatenate([shots[:1], images(batch - 1, SIDE, seed=1)]))
    assert np.array_equal(among_others[0], answer[0])
    alone = session.run(shots[:1])
    assert np.array_equal(alone[0], answer[0])


@EACH
def test_the_same_bits_come_every_time(source: TorchSource, engine: SourceEngine) -> None:
    shots, session = images(6, SIDE), source.open(engine, SIDE, 4)
    answer = session.run(shots)
    assert np.array_equal(session.run(shots), answer)
    assert np.array_equal(source.open(engine, SIDE, 4).run(shots), answer)


@EACH
def test_the_facts_are_what_the_session_reports(source: TorchSource, engine: SourceEngine) -> None:
    facts, session = engine_facts(engine, CPU), source.open(engine, SIDE, 4)
    for key in ("backend", "precision", "provider", "versions"):
        assert facts[key] == getattr(session, key)
    assert (facts["backend"], facts["precision"]) == (engine.backend, engine.precision)
    assert facts["processor"]


def test_a_session_that_does_otherwise_is_refused(source: TorchSource) -> None:
    session = source.open(TORCH, SIDE, 4)
    assert checked(session, TORCH, CPU) is session
    session.precision = "bf16"
    with pytest.raises(
        NetworkError, match=r"'torch-fp32': asked for precision fp32, but it runs with bf16\. .*labels\.engine"
    ):
        checked(session, TORCH, CPU)


def test_what_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    assert {engine.backend for engine in engines_here(TORCH, CPU)} == {"torch"}
    with pytest.raises(MissingExtraError, match="onnxruntime, which is not installed"):
        engine_facts(ONNX, CPU)


def test_half_precision_is_offered_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sskt_edge.sources.engines.has_fast_bf16", lambda: False)
    assert {engine.precision for engine in engines_here(TORCH, CPU)} == {"fp32"}
    with pytest.raises(NetworkError, match=r"'torch-bf16' does not run here: no bf16"):
        engine_facts(ENGINES["torch-bf16"], CPU)


def test_a_gpu_gets_no_engine_of_the_cpu() -> None:
    assert engines_here(TORCH, torch.device("mps")) == (TORCH,)
    on_cpu = engines_here(ONNX, torch.device("mps"))  # where ONNX Runtime runs nevertheless
    assert {engine.backend for engine in on_cpu} == {engine.backend for engine in HERE} - {"torch"}


def test_tensorrt_is_offered_beside_cuda_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorrt = ENGINES["onnxruntime-tensorrt-fp32"]
    monkeypatch.setattr(
        "sskt_edge.inference.backends.onnxruntime.backend.providers", lambda: ("tensorrt", "cuda", "cpu")
    )
    assert tensorrt not in engines_here(TORCH, CPU)
    assert {tensorrt, ONNX} < set(engines_here(TORCH, torch.device("cuda")))
    assert openvino_engines(engines_here(TORCH, torch.device("cuda"))) == set()


def openvino_engines(engines: tuple[SourceEngine, ...]) -> set[SourceEngine]:
    return {engine for engine in engines if engine.backend == "openvino"}


@pytest.mark.slow
@EACH
def test_opening_draws_no_random_number_and_leaves_the_environment(source: TorchSource, engine: SourceEngine) -> None:
    state, environment = torch.random.get_rng_state(), dict(os.environ)
    source.open(engine, SIDE + 1, 4).run(images(4, SIDE + 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert dict(os.environ) == environment


@pytest.mark.slow
def test_a_recalibrated_source_is_exported_again() -> None:
    asked = TorchSource("small", "test/small", network(), Pixels(32), CPU)
    frozen = answers(asked, images(), ONNX)
    recalibrate(asked, [images()])
    answer = answers(asked, images(), ONNX)
    assert np.abs(answer - frozen).max() > 0.1
    np.testing.assert_allclose(answer, answers(asked, images()), rtol=1e-4, atol=1e-4)


class _Branching(nn.Module):
    """Its way depends on what it sees, which no graph can follow."""

    def forward(self, planes: Tensor) -> Tensor:
        return planes.mean((2, 3)) if planes.sum() > 0 else planes.amax((2, 3))


@pytest.mark.slow
def test_a_failed_export_says_which_engine_needs_none() -> None:
    asked = TorchSource("small", "test/small", _Branching(), Pixels(32), CPU)
    assert answers(asked, images()).shape == (4, 3)
    with pytest.raises(NetworkError, match=r"'small' cannot be exported to ONNX: .*labels\.engine = 'torch'") as caught:
        answers(asked, images(), ONNX)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_engines_of_cuda_answer_as_the_cpu_does() -> None:
    device = torch.device("cuda")
    expected = answers(TorchSource("small", "test/small", network(), Pixels(32), CPU), images())
    asked = TorchSource("small", "test/small", network(), Pixels(32), device)
    for engine in asked.engines():
        assert engine_facts(engine, device)["provider"] == "cuda"
        answer = answers(asked, images(), engine)
        np.testing.assert_allclose(answer, expected, rtol=1e-4 if engine.precision == "fp32" else 0.02)


def test_labels_of_another_processor_are_others_where_its_bits_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """AVX-512 BF16 and AMX sum in other orders: most bf16 logits differ in their last bits, no fp32 logit does."""

    def facts(name: str, *instructions: str) -> dict[str, Any]:
        monkeypatch.setattr("sskt_edge.sources.engines.bf16_instructions", lambda: instructions)
        monkeypatch.setattr("sskt_edge.sources.engines.has_fast_bf16", lambda: True)
        return engine_facts(ENGINES[name], CPU)

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert facts("torch-bf16", "AVX512_BF16") != facts("torch-bf16", "AVX512_BF16", "AMX")
    assert facts("torch-fp32", "AVX512_BF16") == facts("torch-fp32", "AVX512_BF16", "AMX")
    before = engine_facts(TORCH, CPU)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert engine_facts(TORCH, CPU) != before

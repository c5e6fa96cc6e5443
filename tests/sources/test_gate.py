"""What the gate lets through, and what it stops: real engines, some of them broken on purpose."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from sskt_edge.common.errors import Interrupted
from sskt_edge.common.progress import QUIET, Stoppable
from sskt_edge.data.inputs.pixels import Pixels
from sskt_edge.inference.session import Session
from sskt_edge.recipe.gate import GateOptions
from sskt_edge.sources.engines import ENGINES, SourceEngine
from sskt_edge.sources.gate import GateVerdict, Open, try_engines
from sskt_edge.sources.judge import LogitsJudge
from sskt_edge.sources.source import Source, TorchSource
from tests.sources.small import CPU, images, network

TORCH, ONNX = ENGINES["torch-fp32"], ENGINES["onnxruntime-fp32"]
SIZE, BATCH = 32, 8
TINTS = np.random.default_rng(0).integers(0, 192, (4, BATCH, 1, 1, 3), dtype=np.uint8)
SHOTS = [tint + images(BATCH, SIZE) // 4 for tint in TINTS]
USUAL = GateOptions()
NO_LIMITS = GateOptions(kl=1e9, agreement=0)


def telling(mean: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> TorchSource:
    """A source that tells colours apart, with logits as large as those of real networks."""
    net, random = network(), torch.Generator().manual_seed(1)
    nn.init.uniform_(net.get_parameter("0.weight"), -1, 1, random)
    nn.init.uniform_(net.get_parameter("6.weight"), -8, 8, random)
    return TorchSource("small", "test/small", net, Pixels(SIZE, mean, (0.25, 0.25, 0.25)), CPU)


@pytest.fixture(scope="module")
def healthy() -> TorchSource:
    return telling()


@dataclass
class _Altered:
    """A session whose images or logits are altered on their way."""

    session: Session
    show: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda shots: shots
    say: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda logits: logits

    def __post_init__(self) -> None:
        self.backend, self.provider = self.session.backend, self.session.provider
        self.precision, self.versions = self.session.precision, self.session.versions
        self.max_batch = self.session.max_batch

    def run(self, shots: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.say(self.session.run(self.show(shots)))


class _Broken:
    """A source that one engine serves wrongly."""

    def __init__(self, whole: TorchSource, engine: SourceEngine, wrong: Callable[[Session], Session]) -> None:
        self.name, self.classes, self.input_size = whole.name, whole.classes, whole.input_size
        self.facts, self.identity, self.engines, self.remark = whole.facts, whole.identity, whole.engines, whole.remark
        self.outputs, self.license = whole.outputs, whole.license
        self._whole, self._engine, self._wrong = whole, engine, wrong

    def open(
        self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
    ) -> Session:
        session = self._whole.open(engine, size, batch)
        return self._wrong(session) if engine == self._engine else session


def opener(source: Source) -> Open:
    return partial(source.open, size=SIZE, batch=BATCH)


def judged(source: Source, *engines: SourceEngine, gate: GateOptions = USUAL) -> dict[str, GateVerdict]:
    verdicts = try_engines(source.name, opener(source), [TORCH, *engines], SHOTS, LogitsJudge(gate), QUIET)
    assert [verdict.engine for verdict in verdicts] == [TORCH, *engines]
    return {verdict.engine.name: verdict for verdict in verdicts}


def test_healthy_engines_pass_and_full_precision_has_no_distance(healthy: TorchSource) -> None:
    verdicts = judged(healthy, *healthy.engines()[1:])
    assert len(verdicts) >= 2
    for verdict in verdicts.values():
        assert verdict.provider == "cpu"
        assert verdict.images_per_second > 0
        if verdict.engine.precision == "fp32":
            assert verdict.passed, verdict.why
            assert verdict.kl < 1e-9
            assert verdict.agreement == 1
    assert verdicts["torch-fp32"].why == "the reference"


def test_no_engine_is_opened_once_the_verdicts_are_enough(healthy: TorchSource) -> None:
    opened = list[SourceEngine]()

    def open_(engine: SourceEngine) -> Session:
        opened.append(engine)
        return opener(healthy)(engine)

    verdicts = try_engines(
        "small", open_, [TORCH, ONNX, TORCH], SHOTS, LogitsJudge(USUAL), QUIET, lambda known: len(known) == 2
    )
    assert [verdict.engine for verdict in verdicts] == opened == [TORCH, ONNX]


def wrong_mean(_: Session) -> Session:
    """The same weights, exported with another preprocessing."""
    return telling((0.2, 0.5, 0.8)).open(ONNX, SIZE, BATCH)


def swapped_channels(session: Session) -> Session:
    return _Altered(session, show=lambda shots: shots[..., ::-1])


def mixed_up_classes(session: Session) -> Session:
    return _Altered(session, say=lambda logits: np.roll(logits, 1, axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [wrong_mean, swapped_channels, mixed_up_classes])
def test_a_broken_engine_is_refused_and_the_verdict_says_why(
    healthy: TorchSource, wrong: Callable[[Session], Session]
) -> None:
    verdict = judged(_Broken(healthy, ONNX, wrong), ONNX)["onnxruntime-fp32"]
    assert not verdict.passed
    assert "KL" in verdict.why
    assert "at most 0.004 is allowed" in verdict.why
    assert verdict.kl > USUAL.kl


def first_two_even(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits whose two largest are all but one number."""
    even = logits.copy()
    second, first = np.argsort(logits, axis=1)[:, -2:].T
    rows = np.arange(len(logits))
    even[rows, second] = even[rows, first] - 1e-3
    return even


def first_two_swapped(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    swapped = first_two_even(logits)
    second, first = np.argsort(swapped, axis=1)[:, -2:].T
    rows = np.arange(len(logits))
    swapped[rows, second], swapped[rows, first] = swapped[rows, first], swapped[rows, second]
    return swapped


@pytest.mark.slow
def test_near_ties_count_as_agreement_only_where_the_recipe_says_so(healthy: TorchSource) -> None:
    """An engine that swaps two classes that the reference holds for equally likely: near by KL, of another class."""

    class Even(TorchSource):
        def open(
            self, engine: SourceEngine, size: int, batch: int, calibration: NDArray[np.uint8] | None = None
        ) -> Session:
            say = first_two_even if engine.backend == "torch" else first_two_swapped
            return _Altered(super().open(engine, size, batch), say=say)

    even = Even(healthy.name, "test/even", healthy.network, healthy.pixels, CPU)
    strict = judged(even, ONNX)["onnxruntime-fp32"]
    assert (strict.passed, strict.agreement) == (False, strict.same)
    assert strict.why == f"{strict.same:.1%} agree, but at least 97.0% is required"
    lenient = judged(even, ONNX, gate=GateOptions(near_tie=0.8))["onnxruntime-fp32"]
    assert (lenient.passed, lenient.agreement) == (True, 1)


@pytest.mark.parametrize(
    ("gate", "complaints"),
    [
        (NO_LIMITS, set()),
        (GateOptions(kl=0, agreement=0), {"KL"}),
        (GateOptions(kl=1e9, agreement=1), {"agree"}),
        (GateOptions(kl=0, agreement=1), {"KL", "agree"}),
    ],
)
def test_each_limit_stops_what_is_beyond_it(healthy: TorchSource, gate: GateOptions, complaints: set[str]) -> None:
    verdict = judged(_Broken(healthy, ONNX, swapped_channels), ONNX, gate=gate)["onnxruntime-fp32"]
    assert verdict.agreement < 1
    assert verdict.passed == (not complaints)
    if complaints:
        assert {word for word in ("KL", "agree") if word in verdict.why} == complaints


def test_logits_that_are_not_finite_pass_no_limit(healthy: TorchSource) -> None:
    def poisoned(session: Session) -> Session:
        return _Altered(session, say=lambda logits: np.where(np.arange(len(logits))[:, None] == 3, np.nan, logits))

    verdict = judged(_Broken(healthy, ONNX, poisoned), ONNX, gate=NO_LIMITS)["onnxruntime-fp32"]
    assert not verdict.passed
    assert "not all finite" in verdict.why


def test_other_classes_than_the_references_are_refused(healthy: TorchSource) -> None:
    def shorter(session: Session) -> Session:
        return _Altered(session, say=lambda logits: logits[:, 1:])

    verdict = judged(_Broken(healthy, ONNX, shorter), ONNX, gate=NO_LIMITS)["onnxruntime-fp32"]
    assert not verdict.passed
    assert "output is [32, 4], but the reference's is [32, 5]" in verdict.why


def test_an_engine_that_does_not_open_is_a_verdict_and_others_are_tried(
    healthy: TorchSource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    verdicts = judged(healthy, ENGINES["openvino-fp32"], ONNX)
    assert not verdicts["openvino-fp32"].passed
    assert "pip install 'sskt-edge[openvino]'" in verdicts["openvino-fp32"].why
    assert verdicts["openvino-fp32"].images_per_second == 0
    assert verdicts["onnxruntime-fp32"].passed


def test_an_engine_that_fails_while_it_runs_is_a_verdict(healthy: TorchSource) -> None:
    def failing(session: Session) -> Session:
        return _Altered(session, show=lambda shots: shots[:, 1:])

    verdict = judged(_Broken(healthy, ONNX, failing), ONNX)["onnxruntime-fp32"]
    assert not verdict.passed
    assert "expected uint8" in verdict.why


def test_without_a_reference_nothing_passes(healthy: TorchSource) -> None:
    def failing(session: Session) -> Session:
        return _Altered(session, show=lambda shots: shots[:, 1:])

    verdicts = judged(_Broken(healthy, TORCH, failing), ONNX, gate=NO_LIMITS)
    assert [verdict.passed for verdict in verdicts.values()] == [False, False]
    assert "the reference does not run" in verdicts["onnxruntime-fp32"].why


def test_a_trial_can_be_interrupted_between_batches(healthy: TorchSource) -> None:
    calls = []

    def stop_at_the_third() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted("stopped", 2)

    with pytest.raises(Interrupted):
        stopping = Stoppable(QUIET, stop_at_the_third)
        try_engines(healthy.name, opener(healthy), [TORCH, ONNX], SHOTS, LogitsJudge(), stopping)
    assert len(calls) == 3

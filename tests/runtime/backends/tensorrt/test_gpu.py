"""The real libraries on a real GPU, where there is one. None of this has run in the project's own tests yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.errors import WorkError
from sskt_edge.runtime.backends.onnxruntime import OnnxRuntimeSession
from sskt_edge.runtime.backends.tensorrt import cuda
from sskt_edge.runtime.backends.tensorrt.build import Built, build_engine
from sskt_edge.runtime.backends.tensorrt.flavours import Flavour, FlavourName, choose, installed
from sskt_edge.runtime.backends.tensorrt.session import TensorRtSession
from sskt_edge.runtime.backends.tensorrt.sidecar import differences
from sskt_edge.runtime.bundle import Bundle
from sskt_edge.runtime.manifest import Batch
from tests.runtime.tiny import SIDE, reference, tiny_onnx

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
GPU = cuda.device()

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(GPU is None, reason="no NVIDIA GPU here")]

MAX = 4
NO_RTX = ("8.7", "9.0")  # Orin and Hopper: TensorRT for RTX is not made for them
MEBIBYTE = 2**20
# What other programs, the desktop for one, may take or give back meanwhile.
OF_OTHERS = 16 * MEBIBYTE


@pytest.fixture(scope="module", params=["tensorrt", "tensorrt_rtx"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    name: FlavourName = request.param
    if name not in {one.name for one in installed()}:
        pytest.skip(f"{name} is not installed")
    if name == "tensorrt_rtx" and cuda.need_device().compute_capability in NO_RTX:
        pytest.skip("TensorRT for RTX does not know this GPU")
    return choose(name)


@pytest.fixture(scope="module")
def built(flavour: Flavour) -> Built:
    batch = Batch(min=1, opt=2, max=MAX)
    return build_engine(tiny_onnx(), height=SIDE, width=SIDE, batch=batch, network="fp32", flavour=flavour)


@pytest.fixture
def session(built: Built, flavour: Flavour) -> Iterator[TensorRtSession]:
    with closing(TensorRtSession(built.plan, SIDE, SIDE, MAX, flavour=flavour)) as opened:
        yield opened


def images(count: int, side: int = SIDE) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 3, MAX, MAX + 1])
def test_any_batch_gives_the_logits_of_the_network(count: int, session: TensorRtSession) -> None:
    assert np.abs(session.run(images(count)) - reference(images(count))).max() < 1e-4


@pytest.mark.parametrize("count", [1, 3, 8, 9])
def test_a_trained_network_agrees_with_onnxruntime(count: int, flavour: Flavour, tiny_bundle: Bundle) -> None:
    onnx = tiny_bundle.read("model.onnx")
    batch = Batch(min=1, opt=4, max=8)
    engine = build_engine(onnx, height=16, width=16, batch=batch, network="fp32", flavour=flavour)
    expected = OnnxRuntimeSession(onnx, 16, 16, 8, provider="cpu", threads=1).run(images(count, 16))
    with closing(TensorRtSession(engine.plan, 16, 16, 8, flavour=flavour)) as session:
        assert np.abs(session.run(images(count, 16)) - expected).max() <= 1e-3 * max(1, np.abs(expected).max())


def test_a_batch_below_the_smallest_is_filled_up(flavour: Flavour) -> None:
    batch = Batch(min=3, opt=3, max=MAX)
    engine = build_engine(tiny_onnx(), height=SIDE, width=SIDE, batch=batch, network="fp32", flavour=flavour)
    with closing(TensorRtSession(engine.plan, SIDE, SIDE, MAX, flavour=flavour)) as session:
        for count in (1, 4, 2, 5):
            assert np.abs(session.run(images(count)) - reference(images(count))).max() < 1e-4


def test_the_engine_is_for_this_machine_and_version_and_no_other(built: Built, flavour: Flavour) -> None:
    assert differences(built.sidecar, flavour, GPU) == []
    other = Flavour(flavour.name, "9.9.9")
    assert any("9.9.9" in one for one in differences(built.sidecar, other, GPU))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_an_engine_that_is_cut_off_is_an_error_with_the_versions(share: float, built: Built, flavour: Flavour) -> None:
    plan = built.plan[: int(len(built.plan) * share)]
    with pytest.raises(
        WorkError, match=rf"TensorRT failed at loading the engine: .*Here: {re.escape(str(flavour))}, .*driver"
    ):
        TensorRtSession(plan, SIDE, SIDE, MAX, flavour=flavour)


def test_memory_is_steady_under_load(session: TensorRtSession) -> None:
    for count in range(1, 3 * MAX):
        session.run(images(count))
    before, _ = cuda.memory()
    for count in range(1000):
        session.run(images(1 + count % (3 * MAX)))
    assert abs(cuda.memory()[0] - before) < OF_OTHERS


def test_closed_sessions_leave_no_memory_behind(built: Built, flavour: Flavour) -> None:
    def open_and_run() -> None:
        with closing(TensorRtSession(built.plan, SIDE, SIDE, MAX, flavour=flavour)) as session:
            session.run(images(1))

    open_and_run()  # what the libraries take once and for all
    before, _ = cuda.memory()
    for _ in range(20):
        open_and_run()
    assert abs(cuda.memory()[0] - before) < OF_OTHERS


def test_the_phases_have_times(session: TensorRtSession) -> None:
    logits, phases = session.timed(images(2 * MAX))
    assert np.abs(logits - reference(images(2 * MAX))).max() < 1e-4
    assert all(0 < seconds < 10 for seconds in phases)


def test_a_full_gpu_is_told_and_survived(session: TensorRtSession) -> None:
    with pytest.raises(WorkError, match=r"taking .* MiB on the GPU: cudaErrorMemoryAllocation.*It is full"):
        cuda.DeviceBuffer(2**46)
    assert np.abs(session.run(images(2)) - reference(images(2))).max() < 1e-4

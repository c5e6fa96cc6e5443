"""The real libraries on a real GPU, where there is one. None of this has run in the project's own tests yet."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.bundle.bundle import Bundle, open_bundle
from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import BundleError, InputError, WorkError
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.backends.tensorrt import cuda
from sskt_edge.inference.backends.tensorrt.build import Built, build_engine
from sskt_edge.inference.backends.tensorrt.flavours import Flavour, FlavourName, choose, installed
from sskt_edge.inference.backends.tensorrt.session import TensorRtSession
from sskt_edge.inference.bundle_engines import build_engines, engines, open_engine
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.inference.runners import Runner, runners_here, runners_of
from sskt_edge.inference.session import Session
from tests.bundle.tiny import SIDE, reference, tiny_onnx, write_bundle
from tests.inference.backends.tensorrt.nets import PRECISIONS

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
GPU = cuda.device()

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(GPU is None, reason="no NVIDIA GPU here")]

MAX = 4
# How far a logit may be from that of ONNX Runtime on the CPU, as a share of the largest.
NEAR = {"fp32": 1e-3, "fp16": 2e-2, "int8": 5e-2}
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
    return build_engine(tiny_onnx(), shape=(SIDE, SIDE, 3), batch=batch, network="fp32", flavour=flavour)


@pytest.fixture(scope="module")
def without_engines(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of small networks in every precision that TensorRT takes."""
    fp32, fp16, int8 = (PRECISIONS[precision]() for precision in ("fp32", "fp16", "int8"))
    return open_bundle(write_bundle(tmp_path_factory.mktemp("bundles") / "small", model=fp32, fp16=fp16, int8=int8))


@pytest.fixture(scope="module")
def bundle(flavour: Flavour, without_engines: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """The same with an engine of each, built here and so trusted."""
    path = shutil.copytree(without_engines.path, tmp_path_factory.mktemp("bundles") / "small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield build_engines(open_bundle(path), flavour=flavour.name)[0]


def agree(session: Session, precision: str, count: int) -> bool:
    """Whether a session answers as ONNX Runtime on the CPU does, from the same file."""
    cpu = OnnxRuntimeSession(PRECISIONS[precision](), (SIDE, SIDE, 3), count, provider="cpu", threads=1)
    expected = cpu.run(images(count))
    difference = np.abs(session.run(images(count)) - expected).max()
    return bool(difference <= NEAR[precision] * max(1, np.abs(expected).max()))


@pytest.fixture
def session(built: Built, flavour: Flavour) -> Iterator[TensorRtSession]:
    with closing(TensorRtSession(built.plan, (SIDE, SIDE, 3), MAX, flavour=flavour)) as opened:
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
    engine = build_engine(onnx, shape=(16, 16, 3), batch=batch, network="fp32", flavour=flavour)
    expected = OnnxRuntimeSession(onnx, (16, 16, 3), 8, provider="cpu", threads=1).run(images(count, 16))
    with closing(TensorRtSession(engine.plan, (16, 16, 3), 8, flavour=flavour)) as session:
        assert np.abs(session.run(images(count, 16)) - expected).max() <= 1e-3 * max(1, np.abs(expected).max())


def test_a_batch_below_the_smallest_is_filled_up(flavour: Flavour) -> None:
    batch = Batch(min=3, opt=3, max=MAX)
    engine = build_engine(tiny_onnx(), shape=(SIDE, SIDE, 3), batch=batch, network="fp32", flavour=flavour)
    with closing(TensorRtSession(engine.plan, (SIDE, SIDE, 3), MAX, flavour=flavour)) as session:
        for count in (1, 4, 2, 5):
            assert np.abs(session.run(images(count)) - reference(images(count))).max() < 1e-4


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_of_each_precision_opens_and_agrees_with_onnxruntime(precision: str, bundle: Bundle) -> None:
    session = open_engine(bundle, precision)
    assert isinstance(session, TensorRtSession)
    with closing(session):
        assert all(agree(session, precision, count) for count in (1, 3, session.max_batch, session.max_batch + 1))


def test_an_engine_of_another_version_is_not_opened(bundle: Bundle, flavour: Flavour, tmp_path: Path) -> None:
    copy = open_bundle(shutil.copytree(bundle.path, tmp_path / "copy"))
    plan, sidecar = next(engine for engine in engines(copy) if engine.sidecar.network == "fp32")
    other = sidecar.model_copy(update={"version": "9.9.9"})
    changed = copy.with_files({plan.replace(".plan", ".json"): other.as_bytes()})
    told = rf"built by {Flavour(flavour.name, '9.9.9')}; here is {flavour}, .*sskt-edge export .* --trt"
    with pytest.raises(BundleError, match=told):
        open_engine(changed, "fp32", trust_engines=True)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_onnxruntime_runs_on_the_gpu_as_eval_opens_it(provider: str, precision: str, without_engines: Bundle) -> None:
    runner = Runner("onnxruntime", provider)
    if runner not in runners_of(precision, runners_here()):
        pytest.skip("this onnxruntime was not built for it, or it does not take the precision")
    try:
        (opened,) = open_sessions(without_engines, precision, "onnxruntime", provider).opened
    except InputError as error:
        if "does not start" not in str(error):
            raise
        pytest.skip(str(error))  # its libraries, CUDA's, cuDNN's or TensorRT's, are not installed
    assert opened.runner == runner
    assert all(agree(opened.session, precision, count) for count in (1, 3, 6))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_an_engine_that_is_cut_off_is_an_error_with_the_versions(share: float, built: Built, flavour: Flavour) -> None:
    plan = built.plan[: int(len(built.plan) * share)]
    with pytest.raises(
        WorkError, match=rf"TensorRT failed when loading the engine: .*Here: {re.escape(str(flavour))}, .*driver"
    ):
        TensorRtSession(plan, (SIDE, SIDE, 3), MAX, flavour=flavour)


def test_memory_is_steady_under_load(session: TensorRtSession) -> None:
    for count in range(1, 3 * MAX):
        session.run(images(count))
    before, _ = cuda.memory()
    for count in range(1000):
        session.run(images(1 + count % (3 * MAX)))
    assert abs(cuda.memory()[0] - before) < OF_OTHERS


def test_closed_sessions_leave_no_memory_behind(built: Built, flavour: Flavour) -> None:
    def open_and_run() -> None:
        with closing(TensorRtSession(built.plan, (SIDE, SIDE, 3), MAX, flavour=flavour)) as session:
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

"""The session's own logic, on a stand-in for a GPU: see simulated.py for what that proves and what not."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.common.errors import DataError, InputError, NetworkError, WorkError
from sskt_edge.inference.backends.onnxruntime.session import OnnxRuntimeSession
from sskt_edge.inference.backends.tensorrt import cuda
from sskt_edge.inference.backends.tensorrt.flavours import Flavour, choose
from sskt_edge.inference.backends.tensorrt.logger import logger_of
from sskt_edge.inference.backends.tensorrt.session import TensorRtSession
from tests.bundle.tiny import SIDE, reference, tiny_onnx
from tests.inference.backends.tensorrt.simulated import IMAGES_A_MS, SimulatedTensorRt, simulate, trt
from tests.inference.backends.tensorrt.simulated_cuda import BYTES_A_MS

MAX = 4
NAMES_OF_CALLS = {
    "Runtime": "starting",
    "deserialize_cuda_engine": "loading the engine",
    "create_execution_context": "preparing the engine",
    "set_tensor_address": "binding the memory of 'images'",
    "set_input_shape": "setting a batch of 3",
    "execute_async_v3": "running a batch of 3",
}


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedTensorRt:
    return simulate(monkeypatch)


def open_tiny(simulated: SimulatedTensorRt, plan: bytes | None = None, **how: Any) -> TensorRtSession:
    plan = tiny_onnx() if plan is None else plan
    return TensorRtSession(plan, (SIDE, SIDE, 3), how.pop("max_batch", MAX), flavour=simulated.flavour(), **how)


def images(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 3, MAX, MAX + 1, 2 * MAX, 2 * MAX + 3])
def test_any_batch_gives_the_logits_of_onnxruntime(count: int, simulated: SimulatedTensorRt) -> None:
    other = OnnxRuntimeSession(tiny_onnx(), (SIDE, SIDE, 3), MAX, provider="cpu", threads=1)
    logits = open_tiny(simulated).run(images(count))
    assert logits.dtype == np.float32
    assert np.abs(logits - other.run(images(count))).max() < 1e-5


def test_batches_of_changing_size_leave_nothing_behind(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    for count in (4, 1, 3, 2, 9, 1, 4):
        assert np.abs(session.run(images(count)) - reference(images(count))).max() < 1e-5


def test_images_that_do_not_lie_in_a_row_are_read_right(simulated: SimulatedTensorRt) -> None:
    mirrored = images(3)[:, :, ::-1]
    assert np.abs(open_tiny(simulated).run(mirrored) - reference(mirrored)).max() < 1e-5


def test_a_batch_below_the_smallest_is_filled_up_and_cut(simulated: SimulatedTensorRt) -> None:
    simulated.smallest = 3
    session = open_tiny(simulated)
    session.run(images(4))
    for count in (1, 2, 5):
        assert np.abs(session.run(images(count)) - reference(images(count))).max() < 1e-5


def test_what_fills_a_batch_up_is_black(simulated: SimulatedTensorRt) -> None:
    simulated.smallest = 3
    session = open_tiny(simulated)
    session.run(images(4))
    session.run(images(1))
    assert simulated.seen is not None
    assert np.array_equal(simulated.seen, np.concatenate([images(1), np.zeros_like(images(2))]))


def test_a_smaller_max_batch_than_the_engines_is_kept(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated, max_batch=2)
    assert np.abs(session.run(images(5)) - reference(images(5))).max() < 1e-5
    assert simulated.shapes_set == 2  # two batches of two, one of one


def test_answers_stay_when_the_session_runs_again_and_closes(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    first = session.run(images(4))
    kept = first.copy()
    session.run(255 - images(4))
    session.close()
    assert np.array_equal(first, kept)


def test_the_shape_is_set_only_when_the_batch_changes(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    for count in (4, 4, 8, 3, 3, 4):
        session.run(images(count))
    assert simulated.shapes_set == 3


def test_a_session_says_what_runs_it(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated, precision="fp16")
    assert (session.backend, session.provider, session.precision) == ("tensorrt", "cuda", "fp16")
    assert session.versions == {"tensorrt_rtx": "1.7.1.116", "cuda": "13.5"}
    assert session.max_batch == MAX


def test_the_time_of_each_phase_is_told_in_seconds(simulated: SimulatedTensorRt) -> None:
    logits, phases = open_tiny(simulated).timed(images(6))
    assert np.abs(logits - reference(images(6))).max() < 1e-5
    assert phases.copy_in == pytest.approx(images(6).nbytes / BYTES_A_MS / 1000)
    assert phases.compute == pytest.approx(6 / IMAGES_A_MS / 1000)
    assert phases.copy_out == pytest.approx(logits.nbytes / BYTES_A_MS / 1000)


def test_memory_is_taken_once(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    session.run(images(1))
    taken, held, free = simulated.gpu.taken, simulated.gpu.held(), cuda.memory()
    for count in range(1, 30):
        session.run(images(count))
    assert (simulated.gpu.taken, simulated.gpu.held(), cuda.memory()) == (taken, held, free)


def test_a_closed_session_holds_nothing_and_refuses(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    session.run(images(1))
    session.close()
    session.close()
    assert simulated.gpu.held() == 0
    with pytest.raises(WorkError, match=r"session is closed.* Open another"):
        session.run(images(1))


def test_a_session_that_is_dropped_holds_nothing(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    session.run(images(1))
    del session
    gc.collect()
    assert simulated.gpu.held() == 0


def test_several_sessions_hold_their_own(simulated: SimulatedTensorRt) -> None:
    first, second = open_tiny(simulated), open_tiny(simulated)
    first.run(images(2))
    first.close()
    assert np.abs(second.run(images(3)) - reference(images(3))).max() < 1e-5


def calls_of(act: Callable[[SimulatedTensorRt], object], simulated: SimulatedTensorRt) -> tuple[int, list[str]]:
    """Where the calls of CUDA that `act` makes begin, and their names, when all goes well."""
    begin = len(simulated.gpu.calls)
    kept = act(simulated)
    names = simulated.gpu.calls[begin:]
    assert kept is not None  # a session that was dropped would have closed
    return begin, names


def test_whatever_call_of_cuda_fails_at_opening_the_memory_is_given_back(simulated: SimulatedTensorRt) -> None:
    _, names = calls_of(open_tiny, simulated)
    assert {"cudaMalloc", "cudaHostAlloc", "cudaStreamCreateWithFlags", "cudaEventCreate"} <= set(names)
    for number, name in enumerate(names):
        with pytest.MonkeyPatch.context() as patch:
            other = simulate(patch)
            other.gpu.fail[number] = "cudaErrorUnknown"
            with pytest.raises(WorkError, match=r"CUDA failed when .*cudaErrorUnknown"):
                open_tiny(other)
            assert other.gpu.calls[number] == name
            assert other.gpu.held() == 0, f"call {number}, {name}"


def test_whatever_call_of_cuda_fails_in_a_run_the_session_closes(simulated: SimulatedTensorRt) -> None:
    session = open_tiny(simulated)
    begin, names = calls_of(lambda _: session.run(images(MAX + 1)), simulated)
    assert {"cudaMemcpyAsync", "cudaEventRecord", "cudaStreamSynchronize", "cudaEventElapsedTime"} == set(names)
    for number, name in enumerate(names, begin):
        with pytest.MonkeyPatch.context() as patch:
            other = simulate(patch)
            broken = open_tiny(other)
            other.gpu.fail[number] = "cudaErrorUnknown"
            with pytest.raises(WorkError, match=r"CUDA failed when .*cudaErrorUnknown"):
                broken.run(images(MAX + 1))
            assert other.gpu.calls[number] == name
            assert other.gpu.held() == 0, f"call {number}, {name}"
            with pytest.raises(WorkError, match="session is closed"):
                broken.run(images(1))


def test_a_run_gives_back_nothing_that_the_gpu_still_works_on(simulated: SimulatedTensorRt) -> None:
    """A launch that fails behind a copy that is queued: the copy must be over before its memory goes."""
    session = open_tiny(simulated)
    simulated.refuse = "execute_async_v3"
    with pytest.raises(WorkError):
        session.run(images(2))
    freed = simulated.gpu.calls.index("cudaFree")
    assert "cudaStreamSynchronize" in simulated.gpu.calls[:freed]
    assert simulated.gpu.held() == 0


@pytest.mark.parametrize("call", NAMES_OF_CALLS)
def test_each_refusal_of_tensorrt_tells_what_its_log_said_and_who_met(call: str, simulated: SimulatedTensorRt) -> None:
    simulated.refuse = call
    with pytest.raises(WorkError) as caught:
        open_tiny(simulated, built_by=Flavour("tensorrt", "10.3.0")).run(images(3))
    assert str(caught.value).startswith(
        f"TensorRT failed when {NAMES_OF_CALLS[call]}: Error Code 1: {call} was refused. "
        "Here: TensorRT for RTX 1.7.1.116, 'Simulated' of compute capability 8.7, a driver for CUDA up to 13.0, "
        "CUDA 13.5; the engine was built by TensorRT 10.3.0. "
    )
    assert str(caught.value).count("\n") == 0
    assert simulated.gpu.held() == 0


def test_an_error_of_before_is_not_told_again(simulated: SimulatedTensorRt) -> None:
    open_tiny(simulated).close()
    simulated.logger.log(trt.ILogger.Severity.ERROR, "an old story")
    simulated.refuse = "deserialize_cuda_engine"
    with pytest.raises(WorkError, match="deserialize_cuda_engine was refused") as caught:
        open_tiny(simulated)
    assert "story" not in str(caught.value)
    simulated.refuse = "create_execution_context"
    with pytest.raises(WorkError, match="create_execution_context was refused") as caught:
        open_tiny(simulated)
    assert "deserialize" not in str(caught.value)


def test_a_session_does_not_tell_the_error_of_another(simulated: SimulatedTensorRt) -> None:
    sessions = [open_tiny(simulated), open_tiny(simulated)]
    simulated.refuse = "execute_async_v3"
    for session in sessions:
        with pytest.raises(WorkError) as caught:
            session.run(images(1))
        assert str(caught.value).count("was refused") == 1


def test_a_shape_of_the_answer_that_does_not_belong_is_an_error(simulated: SimulatedTensorRt) -> None:
    simulated.different["context.get_tensor_shape"] = trt.Dims([2, 7])
    with pytest.raises(WorkError, match=r"setting a batch of 2, which gives logits \[2, 7\]: it gave no reason"):
        open_tiny(simulated).run(images(2))


@pytest.mark.parametrize(
    "form",
    [{"side": 9}, {"batch": 2}, {"dtype": "FLOAT"}, {"outputs": 2}],
    ids=["another size", "fixed batch", "float images", "two outputs"],
)
def test_an_engine_of_another_form_is_refused(form: dict[str, Any], simulated: SimulatedTensorRt) -> None:
    with pytest.raises(NetworkError, match=r"got images: .*expected one input uint8 \[N,8,8,3\] and one output"):
        open_tiny(simulated, tiny_onnx(**form))
    assert simulated.gpu.held() == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [("get_tensor_format", trt.TensorFormat.CHW32), ("get_tensor_location", trt.TensorLocation.HOST)],
)
def test_an_engine_that_wants_other_memory_is_refused(call: str, said: Any, simulated: SimulatedTensorRt) -> None:
    simulated.different[call] = said
    with pytest.raises(NetworkError, match="another form"):
        open_tiny(simulated)


def test_an_engine_without_a_range_of_batches_is_refused(simulated: SimulatedTensorRt) -> None:
    simulated.different["get_tensor_profile_shape"] = []
    with pytest.raises(NetworkError, match=r"no range of batches.* Build it again"):
        open_tiny(simulated)


def test_more_images_at_once_than_the_engine_takes_are_refused(simulated: SimulatedTensorRt) -> None:
    with pytest.raises(InputError, match=r"up to 4 images at once, but max_batch is 5"):
        open_tiny(simulated, max_batch=5)
    assert simulated.gpu.held() == 0


@pytest.mark.parametrize(
    "wrong",
    [images(2).astype(np.float32), images(2)[0], images(2).transpose(0, 3, 1, 2), images(2)[:0]],
    ids=["float", "one image", "NCHW", "none"],
)
def test_images_of_another_form_are_refused_and_the_session_lives(
    wrong: npt.NDArray[np.uint8], simulated: SimulatedTensorRt
) -> None:
    session = open_tiny(simulated)
    with pytest.raises(DataError, match=r"got \w+ \[.*\], expected uint8 \[N,8,8,3\]"):
        session.run(wrong)
    assert np.abs(session.run(images(2)) - reference(images(2))).max() < 1e-5


def test_without_a_gpu_the_real_session_says_what_to_do() -> None:
    if cuda.device() is not None:
        pytest.skip("a GPU is here")
    with pytest.raises(InputError, match=r"run on an NVIDIA GPU only.*or use backend 'onnxruntime'"):
        TensorRtSession(b"plan", (SIDE, SIDE, 3), MAX, flavour=choose("tensorrt_rtx"))


def test_the_real_logger_keeps_what_the_real_library_says() -> None:
    logger = logger_of(trt)
    logger.lines.clear()
    assert trt.Runtime(logger).deserialize_cuda_engine(b"no engine") is None
    assert any("Error Code" in line and "\n" not in line for line in logger.lines)
    assert logger is logger_of(trt)

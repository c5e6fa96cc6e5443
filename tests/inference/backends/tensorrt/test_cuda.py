from __future__ import annotations

import sys
from contextlib import closing

import numpy as np
import pytest

from sskt_edge.common.errors import InputError, MissingExtraError, WorkError
from sskt_edge.inference.backends.tensorrt import cuda
from sskt_edge.inference.backends.tensorrt.cuda import DeviceBuffer, Event, PinnedBuffer, Stream
from sskt_edge.machine.device import CudaGpu
from tests.inference.backends.tensorrt.simulated_cuda import BYTES_A_MS, SimulatedGpu, cudart


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimulatedGpu:
    simulated = SimulatedGpu()
    monkeypatch.setattr("cuda.bindings.runtime", simulated.module())
    return simulated


def test_the_device_is_what_cuda_says_it_is() -> None:
    """The real bindings, with a GPU or without."""
    error, count = cudart.cudaGetDeviceCount()
    found = cuda.device()
    if error != cudart.cudaError_t.cudaSuccess or count == 0:
        assert found is None
        with pytest.raises(InputError, match=r"run on an NVIDIA GPU only, and .*; or use backend 'onnxruntime'\."):
            cuda.need_device()
    else:
        assert found == cuda.need_device()
        assert found.name
        assert float(found.compute_capability) >= 5


def test_an_error_of_the_real_bindings_has_its_name_and_what_it_was_to_do() -> None:
    with pytest.raises(WorkError, match=r"^CUDA failed when x: cudaErrorInvalidValue, invalid argument\. .*nvidia-smi"):
        cuda.check((cudart.cudaError_t.cudaErrorInvalidValue, None), "x")


@pytest.mark.parametrize(
    ("answer", "value"), [((), None), ((3,), 3), ((3, 4), (3, 4)), ((None,), None)], ids=["none", "one", "two", "null"]
)
def test_what_succeeds_gives_its_values(answer: tuple[object, ...], value: object) -> None:
    assert cuda.check((cudart.cudaError_t.cudaSuccess, *answer), "x") == value


def test_a_full_gpu_says_what_to_do(gpu: SimulatedGpu) -> None:
    gpu.fail["cudaMalloc"] = "cudaErrorMemoryAllocation"
    with pytest.raises(WorkError, match=r"3\.0 MiB on the GPU: cudaErrorMemoryAllocation.*The GPU is out of memory"):
        DeviceBuffer(3 * 2**20)


def test_a_device_has_its_name_and_versions(gpu: SimulatedGpu) -> None:
    assert cuda.device() == cuda.need_device() == CudaGpu("Simulated", "8.7", "13.0", "13.5")


@pytest.mark.parametrize("error", ["cudaErrorInsufficientDriver", "cudaErrorNoDevice", "cudaErrorStubLibrary"])
def test_a_machine_without_a_gpu_is_no_error(error: str, gpu: SimulatedGpu) -> None:
    gpu.fail["cudaGetDeviceCount"] = error
    assert cuda.device() is None


def test_a_broken_driver_is_not_taken_for_a_machine_without_a_gpu(gpu: SimulatedGpu) -> None:
    gpu.fail["cudaGetDeviceCount"] = "cudaErrorSystemDriverMismatch"
    with pytest.raises(WorkError, match=r"cudaErrorSystemDriverMismatch.*restart the machine"):
        cuda.device()


def test_bindings_that_raise_where_no_driver_is_are_understood(
    gpu: SimulatedGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cuda-bindings 12.8 does."""

    def raising() -> None:
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    for name in ("cudaGetDeviceCount", "cudaDriverGetVersion"):
        monkeypatch.setattr(f"cuda.bindings.runtime.{name}", raising)
    assert cuda.device() is None
    with pytest.raises(InputError, match="no NVIDIA driver answers"):
        cuda.need_device()


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (0, "no NVIDIA driver answers"),
        (12060, r"CUDA up to 12\.6, but cuda-bindings is built for CUDA 13\.5\. pip install 'cuda-bindings<13'"),
        (13000, "the driver shows no GPU.*CUDA_VISIBLE_DEVICES"),
    ],
)
def test_who_needs_a_gpu_reads_why_there_is_none(driver: int, said: str, gpu: SimulatedGpu) -> None:
    gpu.driver, gpu.devices = driver, 0
    with pytest.raises(InputError, match=said):
        cuda.need_device()


def test_bytes_go_to_the_device_and_come_back(gpu: SimulatedGpu) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    with (
        closing(Stream()) as stream,
        closing(PinnedBuffer((3, 4), np.float32)) as there,
        closing(PinnedBuffer((3, 4), np.float32)) as back,
        closing(DeviceBuffer(values.nbytes)) as device,
    ):
        there.array[:] = values
        stream.copy_in(device, there, values.nbytes)
        stream.copy_out(back, device, values.nbytes)
        stream.synchronize()
        assert np.array_equal(back.array, values)
        assert gpu.held() == 4
    assert gpu.held() == 0


def test_free_memory_is_told(gpu: SimulatedGpu) -> None:
    before, total = cuda.memory()
    with closing(DeviceBuffer(4000)):
        assert cuda.memory() == (before - 4000, total)
    assert cuda.memory() == (before, total)


def test_events_tell_the_seconds_of_what_lies_between_them(gpu: SimulatedGpu) -> None:
    size = 3 * BYTES_A_MS
    with (
        closing(Stream()) as stream,
        closing(PinnedBuffer((size,), np.uint8)) as host,
        closing(DeviceBuffer(size)) as device,
        closing(Event()) as start,
        closing(Event()) as end,
    ):
        stream.mark(start)
        stream.copy_in(device, host, size)
        stream.mark(end)
        stream.synchronize()
        assert end.seconds_since(start) == pytest.approx(0.003)
    assert gpu.held() == 0


def test_a_missing_package_names_its_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("cuda.bindings.runtime")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(MissingExtraError, match=r"sskt-edge\[rtx\].*sskt-edge\[tensorrt\].*cuda-bindings>=12\.6,<13"):
        cuda.device()

"""A thin layer over cuda.bindings.runtime for CUDA 12 and 13: it checks every return code and frees what it allocates.

The project's own tests have not run this on a GPU yet, except for the check whether there is one.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import InputError, MissingExtraError, WorkError
from sskt_edge.common.packages import install_hint
from sskt_edge.machine.device import CudaGpu

_NO_DEVICE = ("cudaErrorNoDevice", "cudaErrorInsufficientDriver", "cudaErrorStubLibrary")
_WHAT_TO_DO = {
    "cudaErrorMemoryAllocation": "The GPU is out of memory: close other programs, or build for a smaller batch.",
    "cudaErrorNoKernelImageForDevice": "The engine was built for another kind of GPU: build it again on this machine.",
    "cudaErrorSystemDriverMismatch": "The driver was changed while it ran: restart the machine.",
}
_ELSE = "Start the program again; if the error returns, see what nvidia-smi (on Jetson: dmesg) says about the GPU."


def device() -> CudaGpu | None:
    """The GPU that CUDA uses; None if there is no GPU, or no driver that is new enough.

    Raises:
        MissingExtraError: cuda-bindings is not installed.
        WorkError: CUDA fails otherwise.
    """
    cudart = bindings()
    try:
        error, count = cudart.cudaGetDeviceCount()
    except RuntimeError:  # raised by cuda-bindings 12.8 when no driver is installed
        return None
    if error.name in _NO_DEVICE or count == 0:
        return None
    check((error, count), "counting the GPUs")
    number = check(cudart.cudaGetDevice(), "choosing a GPU")
    properties = check(cudart.cudaGetDeviceProperties(number), "asking what the GPU is")
    driver, runtime = _versions()
    name = properties.name.partition(b"\0")[0].decode(errors="replace")
    return CudaGpu(name, f"{properties.major}.{properties.minor}", driver, runtime)


def need_device() -> CudaGpu:
    """The GPU that CUDA uses.

    Raises:
        InputError: there is none, or the driver is too old.
        MissingExtraError: cuda-bindings is not installed.
        WorkError: CUDA fails otherwise.
    """
    found = device()
    if found is not None:
        return found
    driver, runtime = _versions()
    if driver == "0.0":
        why = "no NVIDIA driver answers. Run this on a machine with an NVIDIA GPU"
    elif int(driver.partition(".")[0]) < int(runtime.partition(".")[0]):
        why = (
            f"the driver supports CUDA up to {driver}, but cuda-bindings is built for CUDA {runtime}. "
            f"pip install 'cuda-bindings<{int(driver.partition('.')[0]) + 1}', or install a newer driver"
        )
    else:
        why = "the driver shows no GPU. See nvidia-smi and CUDA_VISIBLE_DEVICES"
    raise InputError(f"TensorRT engines run on an NVIDIA GPU only, and {why}; or use backend 'onnxruntime'.")


def memory() -> tuple[int, int]:
    """Free and total memory of the GPU in bytes.

    Raises:
        WorkError: CUDA fails.
    """
    free, total = check(bindings().cudaMemGetInfo(), "asking for the free memory")
    return int(free), int(total)


def bindings() -> ModuleType:
    """cuda.bindings.runtime, imported.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise MissingExtraError(
            f"This needs cuda-bindings, which is not installed. {install_hint('rtx')} (RTX cards) or "
            f"{install_hint('tensorrt')} (servers); on Jetson with JetPack 6: "
            f"{install_hint(others=['cuda-bindings>=12.6,<13'])}."
        ) from error
    module: ModuleType = runtime
    return module


def check(answer: tuple[Any, ...], doing: str) -> Any:
    """Check a call of cuda.bindings.runtime. Returns its result: None, a value, or a tuple of values.

    Args:
        answer: what the call returned: the error, then the values.
        doing: what the call does, for the error message.

    Raises:
        WorkError: the call failed.
    """
    cudart = bindings()
    error, *values = answer
    if error != cudart.cudaError_t.cudaSuccess:
        said = cudart.cudaGetErrorString(error)[1].decode(errors="replace")
        raise WorkError(f"CUDA failed when {doing}: {error.name}, {said}. {_WHAT_TO_DO.get(error.name, _ELSE)}")
    return tuple(values) if len(values) > 1 else next(iter(values), None)


class Stream:
    """A separate queue of work for the GPU: it does not wait for the default stream.

    Attributes:
        handle: its number, which TensorRT expects.
    """

    def __init__(self) -> None:
        self._cudart = cudart = bindings()
        self._stream = check(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking), "making a stream")
        self.handle = int(self._stream)

    def copy_in(self, target: DeviceBuffer, source: PinnedBuffer, size: int) -> None:
        """Queue a copy of the first `size` bytes to the GPU; do not change `source` before synchronize()."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(target.pointer, source.pointer, size, kind)

    def copy_out(self, target: PinnedBuffer, source: DeviceBuffer, size: int) -> None:
        """Queue a copy of the first `size` bytes from the GPU; read `target` after synchronize()."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(target.pointer, source.pointer, size, kind)

    def mark(self, event: Event) -> None:
        """Queue `event` after the work that is queued now."""
        check(self._cudart.cudaEventRecord(event.raw, self._stream), "queueing an event")

    def synchronize(self) -> None:
        """Wait until all queued work is done; errors of queued work are raised here."""
        check(self._cudart.cudaStreamSynchronize(self._stream), "waiting for the GPU")

    def close(self) -> None:
        """Destroy the stream."""
        check(self._cudart.cudaStreamDestroy(self._stream), "closing a stream")

    def _copy(self, target: int, source: int, size: int, kind: Any) -> None:
        answer = self._cudart.cudaMemcpyAsync(target, source, size, kind, self._stream)
        check(answer, f"queueing a copy of {size} bytes")


class DeviceBuffer:
    """A block of `size` bytes in the GPU's memory.

    Attributes:
        pointer: their address.
    """

    def __init__(self, size: int) -> None:
        self._cudart = bindings()
        self.pointer = int(check(self._cudart.cudaMalloc(size), f"allocating {size / 2**20:.1f} MiB on the GPU"))

    def close(self) -> None:
        """Free the memory."""
        check(self._cudart.cudaFree(self.pointer), "freeing memory of the GPU")


class PinnedBuffer:
    """Page-locked memory of the host: the GPU copies from it and to it without the CPU.

    Attributes:
        pointer: its address.
        array: a view of it; neither the view nor a slice of it may be used after close().
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._cudart = cudart = bindings()
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        doing = f"allocating {size / 2**20:.1f} MiB of page-locked memory"
        self.pointer = int(check(cudart.cudaHostAlloc(size, cudart.cudaHostAllocDefault), doing))
        raw = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.pointer))
        self.array: npt.NDArray[Any] = raw.view(dtype).reshape(shape)

    def close(self) -> None:
        """Free the memory."""
        del self.array
        check(self._cudart.cudaFreeHost(self.pointer), "freeing page-locked memory")


class Event:
    """A mark in a stream that records the time at which the GPU reached it."""

    def __init__(self) -> None:
        self._cudart = bindings()
        self.raw = check(self._cudart.cudaEventCreate(), "making an event")

    def seconds_since(self, earlier: Event) -> float:
        """The seconds between `earlier` and this event on the GPU's clock; call it after synchronize()."""
        answer = self._cudart.cudaEventElapsedTime(earlier.raw, self.raw)
        return float(check(answer, "reading the GPU's clock")) / 1000

    def close(self) -> None:
        """Destroy the event."""
        check(self._cudart.cudaEventDestroy(self.raw), "closing an event")


def _versions() -> tuple[str, str]:
    """The newest CUDA of the driver ("0.0" without one) and the CUDA of the bindings, such as "12.6" and "12.9"."""
    cudart = bindings()
    runtime = int(check(cudart.cudaRuntimeGetVersion(), "asking for CUDA's version"))
    try:
        driver = int(check(cudart.cudaDriverGetVersion(), "asking for the driver's version"))
    except RuntimeError:  # as in device()
        driver = 0
    return _dotted(driver), _dotted(runtime)


def _dotted(version: int) -> str:
    """12060 → 12.6."""
    return f"{version // 1000}.{version % 1000 // 10}"

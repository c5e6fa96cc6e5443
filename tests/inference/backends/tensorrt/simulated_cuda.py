# ruff: noqa: N802  (the names are CUDA's)
"""A stand-in for a GPU: the functions of cuda.bindings.runtime that the package uses, over memory of the host.

It proves nothing about CUDA, but what is done with it: memory is really taken, copied and given back. As on a GPU,
nothing queued is done before its stream is waited for, and fresh memory holds rubbish. Memory of the wrong kind, too
short or given back is refused, and after such a fault every call fails. The errors and handles are cuda.bindings' own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

cudart = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")

ERRORS = cudart.cudaError_t
BYTES_A_MS = 1000  # by the stand-in's clock a copy of 1000 bytes takes 1 ms
_RUBBISH, _GIVEN_BACK = 0xCD, 0xDD
_NO_VALUE = (
    *("cudaFree", "cudaFreeHost", "cudaMemcpyAsync", "cudaEventRecord", "cudaEventDestroy"),
    *("cudaStreamSynchronize", "cudaStreamDestroy"),
)


class FaultError(Exception):
    """Memory is used as it must not be."""


@dataclass
class Block:
    """Memory that was taken, of the "host" or the "device"; it is kept when it is given back, to see it used again."""

    raw: Any
    kind: str
    live: bool = True


class SimulatedGpu:
    """The functions of cuda.bindings.runtime that the package uses, over memory of the host.

    Attributes:
        calls: the names of those called.
        fail: fails a call, by its number in `calls` or by its name, with an error's name.
        taken: how often memory was taken.
    """

    def __init__(self) -> None:
        self.driver, self.devices = 13000, 1
        self.calls: list[str] = []
        self.fail: dict[int | str, str] = {}
        self.taken = 0
        self.clock = 0.0
        self._blocks: dict[int, Block] = {}
        self._streams: dict[int, list[Callable[[], None]]] = {}
        self._events: dict[int, float | None] = {}
        self._lost = ERRORS.cudaSuccess
        self._handles = iter(range(1, 10**6))

    def held(self) -> int:
        """How many blocks of memory, streams and events are not given back."""
        return sum(block.live for block in self._blocks.values()) + len(self._streams) + len(self._events)

    def module(self) -> ModuleType:
        """What stands in for cuda.bindings.runtime."""
        module = ModuleType("simulated_cuda")
        for name in ("cudaError_t", "cudaMemcpyKind", "cudaStreamNonBlocking", "cudaHostAllocDefault"):
            setattr(module, name, getattr(cudart, name))
        module.cudaGetErrorString = cudart.cudaGetErrorString  # type: ignore[attr-defined]
        for name in [name for name in dir(type(self)) if name.startswith("cuda")]:
            setattr(module, name, self._called(name))
        return module

    def _called(self, name: str) -> Callable[..., tuple[Any, ...]]:
        def call(*args: Any) -> tuple[Any, ...]:
            number = len(self.calls)
            self.calls.append(name)
            told = self.fail.get(number) or self.fail.get(name)
            error = getattr(ERRORS, told) if told else self._lost
            if error == ERRORS.cudaSuccess:
                try:
                    return (error, *getattr(self, name)(*args))
                except FaultError:
                    error = self._lost = ERRORS.cudaErrorIllegalAddress
            return (error,) if name in _NO_VALUE else (error, None)

        return call

    def queue(self, stream: Any, work: Callable[[], None]) -> None:
        if int(stream) not in self._streams:
            raise FaultError("no such stream")
        self._streams[int(stream)].append(work)

    def memory(self, pointer: int, size: int, kind: str) -> memoryview:
        """The `size` bytes at `pointer`, if they are there."""
        block = self._blocks.get(pointer)
        if block is None or not block.live or block.kind != kind or size > len(block.raw):
            raise FaultError(f"{size} bytes at {pointer:#x} of the {kind} are not there")
        return memoryview(block.raw).cast("B")[:size]

    def _take(self, size: int, kind: str) -> tuple[int]:
        raw = (ctypes.c_uint8 * size)()
        ctypes.memset(raw, _RUBBISH, size)
        self._blocks[ctypes.addressof(raw)] = Block(raw, kind)
        self.taken += 1
        return (ctypes.addressof(raw),)

    def _give_back(self, pointer: int, kind: str) -> tuple[()]:
        self.memory(pointer, 0, kind)
        block = self._blocks[pointer]
        ctypes.memset(pointer, _GIVEN_BACK, len(block.raw))
        block.live = False
        return ()

    def cudaGetDeviceCount(self) -> tuple[int]:
        return (self.devices,)

    def cudaGetDevice(self) -> tuple[int]:
        return (0,)

    def cudaGetDeviceProperties(self, number: int) -> tuple[Any]:
        assert number == 0
        properties = cudart.cudaDeviceProp()
        properties.name, properties.major, properties.minor = b"Simulated".ljust(256, b"\0"), 8, 7
        return (properties,)

    def cudaDriverGetVersion(self) -> tuple[int]:
        return (self.driver,)

    def cudaRuntimeGetVersion(self) -> tuple[int]:
        return (13050,)

    def cudaMemGetInfo(self) -> tuple[int, int]:
        live = sum(len(block.raw) for block in self._blocks.values() if block.live and block.kind == "device")
        return 10**9 - live, 10**9

    def cudaMalloc(self, size: int) -> tuple[int]:
        return self._take(size, "device")

    def cudaFree(self, pointer: int) -> tuple[()]:
        return self._give_back(pointer, "device")

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int]:
        assert flags == cudart.cudaHostAllocDefault
        return self._take(size, "host")

    def cudaFreeHost(self, pointer: int) -> tuple[()]:
        return self._give_back(pointer, "host")

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any]:
        assert flags == cudart.cudaStreamNonBlocking
        stream = cudart.cudaStream_t(next(self._handles))
        self._streams[int(stream)] = []
        return (stream,)

    def cudaStreamDestroy(self, stream: Any) -> tuple[()]:
        self._streams.pop(int(stream))
        return ()

    def cudaStreamSynchronize(self, stream: Any) -> tuple[()]:
        queued, self._streams[int(stream)] = self._streams[int(stream)], []
        for work in queued:
            work()
        return ()

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: Any, stream: Any) -> tuple[()]:
        inward = kind == cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        assert inward or kind == cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        into, outof = ("device", "host") if inward else ("host", "device")

        def copy() -> None:
            self.memory(target, size, into)[:] = self.memory(source, size, outof)
            self.clock += size / BYTES_A_MS

        self.queue(stream, copy)
        return ()

    def cudaEventCreate(self) -> tuple[Any]:
        event = cudart.cudaEvent_t(next(self._handles))
        self._events[int(event)] = None
        return (event,)

    def cudaEventDestroy(self, event: Any) -> tuple[()]:
        self._events.pop(int(event))
        return ()

    def cudaEventRecord(self, event: Any, stream: Any) -> tuple[()]:
        assert int(event) in self._events
        self._events[int(event)] = None
        self.queue(stream, lambda: self._events.update({int(event): self.clock}))
        return ()

    def cudaEventElapsedTime(self, start: Any, end: Any) -> tuple[float]:
        times = self._events[int(start)], self._events[int(end)]
        if times[0] is None or times[1] is None:
            raise FaultError("an event that has not come")
        return (times[1] - times[0],)

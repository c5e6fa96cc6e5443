"""A stand-in for TensorRT on a stand-in for a GPU, so that the session's own logic is tested where neither is.

It proves nothing about TensorRT. It proves what the session does with it: an engine, which is here an ONNX file, is
really computed, by ONNX Runtime, from the bytes that lie at the addresses it was given, with the shape that was set,
when its stream is waited for and not before. The enumerations, dimensions and the logger are TensorRT for RTX's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from tests.inference.backends.tensorrt.simulated_cuda import SimulatedGpu

trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
onnxruntime = pytest.importorskip("onnxruntime")

IMAGES_A_MS = 1  # by the stand-in's clock


@dataclass
class SimulatedTensorRt:
    """The part of TensorRT that runs engines, which are ONNX files here.

    Attributes:
        gpu: where its memory lies.
        smallest: the smallest batch of the profile.
        largest: the largest.
        refuse: the call that fails, saying so in the log.
        different: what the engine says of itself otherwise than it should, by the name of the call.
        shapes_set: how often the input's shape was set.
        seen: the images of the last batch, as the engine met them.
        logger: the one that its Runtime was given.
        library: its module.
    """

    gpu: SimulatedGpu
    smallest: int = 1
    largest: int = 4
    refuse: str = ""
    different: dict[str, Any] = field(default_factory=dict)
    shapes_set: int = 0
    seen: npt.NDArray[np.uint8] | None = None
    logger: Any = None
    library: ModuleType = field(default_factory=lambda: ModuleType("simulated_tensorrt"))

    def __post_init__(self) -> None:
        for name in ("ILogger", "DataType", "TensorFormat", "TensorIOMode", "TensorLocation"):
            setattr(self.library, name, getattr(trt, name))
        self.library.Runtime = self._runtime  # type: ignore[attr-defined]

    def flavour(self) -> Flavour:
        return _SimulatedFlavour("tensorrt_rtx", "1.7.1.116", self.library)

    def refuses(self, call: str) -> bool:
        if call == self.refuse:
            self.logger.log(trt.ILogger.Severity.INFO, "not this line")
            self.logger.log(trt.ILogger.Severity.ERROR, f"Error Code 1: {call}\n  was refused")
        return call == self.refuse

    def _runtime(self, logger: Any) -> Any:
        assert isinstance(logger, trt.ILogger)
        self.logger = logger
        if self.refuses("Runtime"):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return _Runtime(self)


@dataclass(frozen=True)
class _SimulatedFlavour(Flavour):
    library: ModuleType

    def module(self) -> ModuleType:
        return self.library


class _Runtime:
    def __init__(self, made: SimulatedTensorRt) -> None:
        self._made = made

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        return None if self._made.refuses("deserialize_cuda_engine") else Engine(self._made, plan)


class Engine:
    """An ONNX file that answers as an engine."""

    def __init__(self, made: SimulatedTensorRt, plan: bytes) -> None:
        self.made = made
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.network = onnxruntime.InferenceSession(plan, options, providers=["CPUExecutionProvider"])
        self._inputs = [it.name for it in self.network.get_inputs()]
        self._ends: dict[str, Any] = {it.name: it for it in (*self.network.get_inputs(), *self.network.get_outputs())}
        self.num_io_tensors = len(self._ends)

    def get_tensor_name(self, number: int) -> str:
        return list(self._ends)[number]

    def get_tensor_mode(self, name: str) -> Any:
        return trt.TensorIOMode.INPUT if name in self._inputs else trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return trt.DataType.UINT8 if self._ends[name].type == "tensor(uint8)" else trt.DataType.FLOAT

    def get_tensor_shape(self, name: str) -> Any:
        return trt.Dims([size if isinstance(size, int) else -1 for size in self._ends[name].shape])

    def get_tensor_format(self, name: str) -> Any:
        return self.made.different.get("get_tensor_format", trt.TensorFormat.LINEAR)

    def get_tensor_location(self, name: str) -> Any:
        return self.made.different.get("get_tensor_location", trt.TensorLocation.DEVICE)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[Any]:
        assert (name, profile) == (self._inputs[0], 0)
        whole = [
            trt.Dims([batch, *self.get_tensor_shape(name)[1:]])
            for batch in (self.made.smallest, self.made.smallest, self.made.largest)
        ]
        said: list[Any] = self.made.different.get("get_tensor_profile_shape", whole)
        return said

    def create_execution_context(self) -> Any:
        return None if self.made.refuses("create_execution_context") else Context(self)


class Context:
    """What runs an engine: it reads and writes the addresses that it was given when its work is done."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._made = engine, engine.made
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._made.shapes_set += 1
        fits = self._made.smallest <= shape[0] <= self._made.largest
        self._shape = shape if fits else ()
        return fits and not self._made.refuses("set_input_shape")

    def get_tensor_shape(self, name: str) -> Any:
        real = trt.Dims([self._shape[0], *self._engine.get_tensor_shape(name)[1:]])
        return self._made.different.get("context.get_tensor_shape", real)

    def set_tensor_address(self, name: str, pointer: int) -> bool:
        self._addresses[name] = pointer
        return not self._made.refuses("set_tensor_address")

    def execute_async_v3(self, stream: int) -> bool:
        source, target = self._engine.network.get_inputs()[0].name, self._engine.network.get_outputs()[0].name
        if not self._shape or {source, target} != set(self._addresses) or self._made.refuses("execute_async_v3"):
            return False
        shape, addresses = self._shape, dict(self._addresses)

        def compute() -> None:
            raw = self._made.gpu.memory(addresses[source], int(np.prod(shape)), "device")
            self._made.seen = images = np.frombuffer(bytes(raw), np.uint8).reshape(shape)
            answer = self._engine.network.run(None, {source: images})[0].tobytes()
            self._made.gpu.memory(addresses[target], len(answer), "device")[:] = answer
            self._made.gpu.clock += shape[0] / IMAGES_A_MS

        self._made.gpu.queue(stream, compute)
        return True


def simulate(monkeypatch: pytest.MonkeyPatch) -> SimulatedTensorRt:
    """From here on the package meets this GPU."""
    gpu = SimulatedGpu()
    monkeypatch.setattr("cuda.bindings.runtime", gpu.module())
    return SimulatedTensorRt(gpu)

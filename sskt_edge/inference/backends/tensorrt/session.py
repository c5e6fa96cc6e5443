"""Run an engine, given as bytes, with TensorRT or TensorRT for RTX on a GPU.

No GPU has run this in the project's own tests yet: they run it on a stand-in that computes on the CPU, and check every
call against the names and arguments of the real libraries.
"""

from __future__ import annotations

import weakref
from contextlib import ExitStack, closing, suppress
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sskt_edge.common.errors import InputError, NetworkError, WorkError
from sskt_edge.inference.backends.tensorrt.cuda import DeviceBuffer, Event, PinnedBuffer, Stream, need_device
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.backends.tensorrt.logger import logger_of
from sskt_edge.inference.backends.tensorrt.versions import versions
from sskt_edge.inference.session import Phases, check_images, other_form, run_in_parts

_BUILD_AGAIN = "Build the engine again, on this machine and with the TensorRT that is installed here"


class _Form(NamedTuple):
    """The inputs and outputs of an engine."""

    input: str
    output: str
    classes: int
    smallest: int
    largest: int


class TensorRtSession:
    """A network that takes uint8 [N,*shape] and gives float32 [N,classes], with a dynamic batch.

    It allocates all its memory when it is opened, and frees it at close(), when it is garbage-collected, or when a call
    fails; after that it is closed. Only one thread at a time may use it.

    Args:
        plan: the bytes of the engine. They are a program: pass only an engine that you built or whose hash is the one
            that you expect.
        shape: the shape of one image, channels last: (S,S,3).
        max_batch: the largest batch; more images are run in several batches.
        flavour: the library that runs it.
        precision: the precision that the engine computes in; it is only recorded.
        built_by: the library that built it, for the message if it does not load.

    Raises:
        InputError: there is no GPU, or the engine does not accept max_batch images at once.
        NetworkError: the engine's input or output has another form.
        MissingExtraError: the library or cuda-bindings is not installed.
        WorkError: the engine does not fit this library or this GPU, the GPU's memory is full, or CUDA fails otherwise.
    """

    backend = "tensorrt"
    provider = "cuda"

    def __init__(
        self,
        plan: bytes,
        shape: tuple[int, ...],
        max_batch: int,
        *,
        flavour: Flavour,
        precision: str = "fp32",
        built_by: Flavour | None = None,
    ) -> None:
        self.shape, self.max_batch, self.precision = shape, max_batch, precision
        trt = flavour.module()
        gpu = need_device()
        self.versions = versions(flavour)
        self._met = (
            f"Here: {flavour}, '{gpu.name}' of compute capability {gpu.compute_capability}, a driver for CUDA up to "
            f"{gpu.driver}, CUDA {gpu.runtime}" + (f"; the engine was built by {built_by}" if built_by else "")
        )
        self._logger = logger_of(trt)
        self._context: Any = None  # it keeps its engine alive, and the engine its runtime
        self._owned = ExitStack()
        self._open = weakref.finalize(self, _give_back, self._owned)
        self._open.atexit = False  # the system does it then, and CUDA may be gone already
        try:
            engine = self._load(trt, plan)
            self._form = _form_of(trt, engine, shape)
            self._prepare(engine)
            self._take_memory()
        except BaseException:
            self._abandon()
            raise

    def run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 [N,*shape] → float32 [N,classes].

        Raises:
            DataError: images of another type or shape.
            WorkError: TensorRT or CUDA fails, and the session is closed; or it was closed before.
        """
        return self.timed(images)[0]

    def timed(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], Phases]:
        """uint8 [N,*shape] → float32 [N,classes], and the GPU's time for it, summed over the batches.

        Raises:
            DataError: images of another type or shape.
            WorkError: TensorRT or CUDA fails, and the session is closed; or it was closed before.
        """
        check_images(images, self.shape)
        if not self._open.alive:
            raise WorkError("This TensorRT session is closed, by close() or by an error. Open another one.")
        phases = []

        def run(part: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            logits, took = self._run(part)
            phases.append(took)
            return logits

        logits = run_in_parts(run, images, self.max_batch, fixed=False)
        return logits, Phases(*(sum(of_parts) for of_parts in zip(*phases, strict=True)))

    def close(self) -> None:
        """Free the memory; a closed session cannot run any more. Closing twice is allowed.

        Raises:
            WorkError: CUDA fails.
        """
        self._context = None
        if self._open.detach():
            self._owned.close()

    def _load(self, trt: ModuleType, plan: bytes) -> Any:
        self._logger.lines.clear()
        try:
            runtime = trt.Runtime(self._logger)
        except TypeError as error:  # pybind11 raises this when the library returned no object
            raise self._failure("starting", "Check the driver, and install TensorRT again") from error
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._failure("loading the engine", _BUILD_AGAIN)
        return engine

    def _prepare(self, engine: Any) -> None:
        if self._form.largest < self.max_batch:
            raise InputError(
                f"The engine accepts up to {self._form.largest} images at once, but max_batch is {self.max_batch}. "
                "Lower max_batch, or build the engine again with that batch."
            )
        self._context = engine.create_execution_context()
        if self._context is None:
            raise self._failure("preparing the engine", "Close other programs that use the GPU's memory")

    def _take_memory(self) -> None:
        images = (self._form.largest, *self.shape)
        logits = (self._form.largest, self._form.classes)
        own = self._owned.enter_context
        self._stream = own(closing(Stream()))
        self._events = [own(closing(Event())) for _ in range(4)]
        self._images = own(closing(PinnedBuffer(images, np.uint8)))
        self._logits = own(closing(PinnedBuffer(logits, np.float32)))
        self._input = own(closing(DeviceBuffer(self._images.array.nbytes)))
        self._output = own(closing(DeviceBuffer(self._logits.array.nbytes)))
        # This is the first step of closing: the GPU may still be using the memory that is freed next.
        self._owned.callback(self._stream.synchronize)
        for name, buffer in ((self._form.input, self._input), (self._form.output, self._output)):
            if not self._context.set_tensor_address(name, buffer.pointer):
                raise self._failure(f"binding the memory of '{name}'", _BUILD_AGAIN)
        self._batch = 0

    def _run(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], Phases]:
        """Run at most max_batch images; black images pad a batch that is below the engine's smallest."""
        batch = max(len(images), self._form.smallest)
        try:
            self._set_batch(batch)
            self._images.array[: len(images)] = images
            self._images.array[len(images) : batch] = 0
            self._queue(batch)
            self._stream.synchronize()
            start, copied, computed, end = self._events
            took = Phases(copied.seconds_since(start), computed.seconds_since(copied), end.seconds_since(computed))
        except WorkError:
            self._abandon()
            raise
        return self._logits.array[: len(images)].copy(), took

    def _set_batch(self, batch: int) -> None:
        if batch == self._batch:
            return
        if not self._context.set_input_shape(self._form.input, (batch, *self.shape)):
            raise self._failure(f"setting a batch of {batch}", _BUILD_AGAIN)
        answer = tuple(self._context.get_tensor_shape(self._form.output))
        if answer != (batch, self._form.classes):
            raise self._failure(f"setting a batch of {batch}, which gives logits {list(answer)}", _BUILD_AGAIN)
        self._batch = batch

    def _queue(self, batch: int) -> None:
        """Queue copy in, compute and copy out, with events around each; do not wait."""
        stream, (start, copied, computed, end) = self._stream, self._events
        stream.mark(start)
        stream.copy_in(self._input, self._images, self._images.array[:batch].nbytes)
        stream.mark(copied)
        if not self._context.execute_async_v3(stream.handle):
            raise self._failure(f"running a batch of {batch}", "Open the session again")
        stream.mark(computed)
        stream.copy_out(self._logits, self._output, self._logits.array[:batch].nbytes)
        stream.mark(end)

    def _failure(self, doing: str, what_to_do: str) -> WorkError:
        said = "; ".join(self._logger.lines) or "it gave no reason"
        self._logger.lines.clear()
        return WorkError(f"TensorRT failed when {doing}: {said}. {self._met}. {what_to_do}.")

    def _abandon(self) -> None:
        """Close after an error, and ignore further ones: after some errors CUDA refuses every call."""
        with suppress(WorkError):
            self.close()


def _give_back(owned: ExitStack) -> None:
    """Free what a garbage-collected session held; errors are ignored, since no caller is left to see them."""
    with suppress(WorkError):
        owned.close()


def _form_of(trt: ModuleType, engine: Any, shape: tuple[int, ...]) -> _Form:
    """The engine's inputs and outputs, if they have the form that a session expects."""
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT]
    shapes = {name: tuple(engine.get_tensor_shape(name)) for name in names}
    kinds = {name: engine.get_tensor_dtype(name) for name in names}
    fits = (
        len(inputs) == len(outputs) == 1
        and kinds[inputs[0]] == trt.DataType.UINT8
        and kinds[outputs[0]] == trt.DataType.FLOAT
        and shapes[inputs[0]] == (-1, *shape)
        and len(shapes[outputs[0]]) == 2
        and shapes[outputs[0]][1] > 0
        and all(engine.get_tensor_format(name) == trt.TensorFormat.LINEAR for name in names)
        and all(engine.get_tensor_location(name) == trt.TensorLocation.DEVICE for name in names)
    )
    if not fits:
        raise other_form(", ".join(f"{name}: {kinds[name].name} {list(shapes[name])}" for name in names), shape)
    profile = engine.get_tensor_profile_shape(inputs[0], 0)
    if len(profile) != 3:
        raise NetworkError("The engine has no range of batches for its input. Build it again.")
    smallest, _, largest = (batch[0] for batch in profile)
    return _Form(inputs[0], outputs[0], shapes[outputs[0]][1], smallest, largest)

"""An ONNX file, given as bytes, run by OpenVINO on the CPU."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.common.errors import InputError, NetworkError, SsktEdgeError, WorkError
from sskt_edge.inference.backends.openvino.versions import library, versions
from sskt_edge.inference.session import check_images, other_form, run_in_parts
from sskt_edge.machine.cores import threads_for

# By default OpenVINO computes in bf16 wherever the CPU can, even for fp32 graphs.
_PRECISIONS: dict[str, dict[str, str]] = {
    "fp32": {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16", "EXECUTION_MODE_HINT": "PERFORMANCE"},
}
_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
_NOTHING_SAID = ("Exception from ", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")


class OpenVinoSession:
    """A network that takes uint8 [N,*shape] and gives float32 [N,classes], with a dynamic batch.

    One batch runs on all threads. Running one batch per thread was measured to be at most a tenth faster, and it
    multiplies the memory by the number of threads.

    Args:
        content: the bytes of the ONNX file.
        shape: the shape of one image, channels last: (S,S,3).
        max_batch: the largest batch; more images are run in several batches.
        provider: "cpu", or "auto", which is the same.
        threads: the number of threads of one run; 0 leaves it to OpenVINO, within the cores that this process
            may use.
        precision: the precision to compute in, "fp32" or "bf16"; the attribute holds the one that is really used.
        fixed_batch: run exactly max_batch images every time, with the network compiled for that batch.

    Raises:
        BundleError: the file is broken or names external data.
        NetworkError: OpenVINO does not support the network, or its input or output has another form.
        InputError: the provider or the precision is unknown.
        MissingExtraError: openvino is not installed.
    """

    backend = "openvino"

    def __init__(
        self,
        content: bytes,
        shape: tuple[int, ...],
        max_batch: int,
        *,
        provider: str = "auto",
        threads: int = 0,
        precision: str = "fp32",
        fixed_batch: bool = False,
    ) -> None:
        refuse_untrusted(content, "the ONNX file")
        if provider not in ("auto", "cpu"):
            raise InputError(f"Unknown provider '{provider}'. Known: auto, cpu.")
        if precision not in _PRECISIONS:
            raise InputError(f"Unknown precision '{precision}'. Known: {', '.join(_PRECISIONS)}.")
        self.shape, self.max_batch = shape, max_batch
        self._fixed_batch = fixed_batch
        self.versions = versions()
        settings: dict[str, str | int] = {**_PRECISIONS[precision], "PERFORMANCE_HINT": "LATENCY"}
        if number := threads_for(threads):
            settings["INFERENCE_NUM_THREADS"] = number
        core = _core()
        with _errors(NetworkError, "OpenVINO does not support the network"):
            model = _read(content)
            _check_form(model, shape, max_batch if fixed_batch else None)
            model.reshape([max_batch if fixed_batch else -1, *shape])
            compiled = core.compile_model(model, "CPU", settings)
            self._request = compiled.create_infer_request()
        self.provider = ",".join(compiled.get_property("EXECUTION_DEVICES")).lower()
        became = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.precision = _NAMES.get(became, became)

    def run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 [N,*shape] → float32 [N,classes].

        Raises:
            DataError: the images have another type or shape.
            NetworkError: the network's output has another shape.
            WorkError: OpenVINO fails.
        """
        check_images(images, self.shape)
        return run_in_parts(self._run, images, self.max_batch, self._fixed_batch)

    def _run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with _errors(WorkError, f"OpenVINO failed on {len(images)} images"):
            logits = np.asarray(self._request.infer([np.ascontiguousarray(images)])[0], dtype=np.float32)
        if logits.ndim != 2 or len(logits) != len(images):
            raise NetworkError(f"The network's output is {list(logits.shape)}, expected [{len(images)},classes].")
        return logits


@cache
def _core() -> Any:
    """The one Core of this process. It is never destroyed.

    On processors with AMX each Core gives its thread another signal stack. When two Cores are destroyed in the order in
    which they were created, OpenVINO 2026.4 leaves the thread with the first one's stack, whose memory has been freed,
    and the next signal that Python handles, such as Ctrl-C, kills the process.
    """
    return library().Core()


def _read(content: bytes) -> Any:
    """Read the network with the ONNX front end only; OpenVINO itself would guess the format."""
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(io.BytesIO(content)))


def _check_form(model: Any, shape: tuple[int, ...], batch: int | None) -> None:
    """Check that the network has the form that a session expects; its output may be fixed to `batch` images."""
    ends = (*model.inputs, *model.outputs)
    kinds = [end.get_element_type().get_type_name() for end in ends]
    shapes = [end.get_partial_shape() for end in ends]
    fits = (
        len(model.inputs) == len(model.outputs) == 1
        and kinds == ["u8", "f32"]
        and shapes[0].rank.is_static
        and len(shapes[0]) == 1 + len(shape)
        and shapes[0][0].is_dynamic
        and all(is_.is_dynamic or is_ == must for is_, must in zip(list(shapes[0])[1:], shape, strict=True))
        # Given more images than a fixed output has room for, OpenVINO writes past its end without an error.
        and (shapes[1].rank.is_dynamic or (len(shapes[1]) == 2 and (shapes[1][0].is_dynamic or shapes[1][0] == batch)))
    )
    if not fits:
        got = ", ".join(f"{end.any_name}: {kind} {shape}" for end, kind, shape in zip(ends, kinds, shapes, strict=True))
        raise other_form(got, shape)


@contextmanager
def _errors(kind: type[SsktEdgeError], what: str) -> Iterator[None]:
    """Turn OpenVINO's errors inside into one line each; the errors of its readers share no base class."""
    try:
        yield
    except SsktEdgeError:
        raise
    except Exception as error:
        raise kind(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The informative line of an error: OpenVINO begins with locations in its own source."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    telling = [line for line in lines if not line.startswith(_NOTHING_SAID)]
    return (telling or lines or [type(error).__name__])[0]

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

# Left to itself OpenVINO computes in bf16 wherever the CPU can, fp32 graphs too.
_PRECISIONS: dict[str, dict[str, str]] = {
    "fp32": {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16", "EXECUTION_MODE_HINT": "PERFORMANCE"},
}
_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}
_NOTHING_SAID = ("Exception from ", "Check '", "FrontEnd API failed", "Model wasn't fully converted", "Summary:")


class OpenVinoSession:
    """A network that takes uint8 [N,*shape] and gives float32 [N,classes], with a dynamic batch.

    One batch runs on all threads. Many batches at once, a thread each, were measured to gain a tenth at most, for as
    many times the memory.

    Args:
        content: the bytes of the ONNX file.
        shape: of one image, channels last: (S,S,3).
        max_batch: more images than this are run in several batches.
        provider: "cpu", or "auto", which is the same.
        threads: threads of one run; 0 leaves it to OpenVINO.
        precision: what to compute in, "fp32" or "bf16"; the attribute says what it became.
        fixed_batch: every run has exactly max_batch images, for which the network is then compiled.

    Raises:
        BundleError: the file is broken or names external data.
        NetworkError: OpenVINO does not take the network, or its input or output has another form.
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
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = _core()
        with _errors(NetworkError, "OpenVINO does not take the network"):
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
            DataError: images of another type or shape.
            NetworkError: the network answers in another form.
            WorkError: OpenVINO fails.
        """
        check_images(images, self.shape)
        return run_in_parts(self._run, images, self.max_batch, self._fixed_batch)

    def _run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with _errors(WorkError, f"OpenVINO failed on {len(images)} images"):
            logits = np.asarray(self._request.infer([np.ascontiguousarray(images)])[0], dtype=np.float32)
        if logits.ndim != 2 or len(logits) != len(images):
            raise NetworkError(f"The network answered {list(logits.shape)}, expected [{len(images)},classes].")
        return logits


@cache
def _core() -> Any:
    """The one Core of this process, which never ends.

    On processors with AMX each gives its thread another stack for signals. When two end in the order in which they
    began, 2026.4 leaves the thread with the stack of the first, whose memory is gone, and the next signal that Python
    handles, such as Ctrl-C, kills the process.
    """
    return library().Core()


def _read(content: bytes) -> Any:
    """The network, read by the reader of ONNX alone: OpenVINO itself would guess which of its formats it is."""
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(io.BytesIO(content)))


def _check_form(model: Any, shape: tuple[int, ...], batch: int | None) -> None:
    """Check that the network has the one form that a session takes; its answer may be fixed to `batch` images."""
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
        # Of more images than a fixed answer has room for OpenVINO writes past its end, and says nothing.
        and (shapes[1].rank.is_dynamic or (len(shapes[1]) == 2 and (shapes[1][0].is_dynamic or shapes[1][0] == batch)))
    )
    if not fits:
        got = ", ".join(f"{end.any_name}: {kind} {shape}" for end, kind, shape in zip(ends, kinds, shapes, strict=True))
        raise other_form(got, shape)


@contextmanager
def _errors(kind: type[SsktEdgeError], what: str) -> Iterator[None]:
    """Errors of OpenVINO inside become one line; those of its readers share no base class."""
    try:
        yield
    except SsktEdgeError:
        raise
    except Exception as error:
        raise kind(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The line of an error that says something: OpenVINO begins with places in its own source."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    telling = [line for line in lines if not line.startswith(_NOTHING_SAID)]
    return (telling or lines or [type(error).__name__])[0]

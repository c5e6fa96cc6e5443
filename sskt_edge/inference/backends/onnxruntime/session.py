"""An ONNX file, given as bytes, run by ONNX Runtime on the CPU, on CUDA, or on TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.common.errors import InputError, MissingExtraError, NetworkError, WorkError
from sskt_edge.common.packages import install_hint
from sskt_edge.common.text import first_line
from sskt_edge.inference.backends.onnxruntime.versions import PROVIDERS, library, versions
from sskt_edge.inference.session import check_images, other_form, run_in_parts
from sskt_edge.machine.cores import threads_for

# The lists are tried in order until one opens; within a list, a node that one provider does not support falls to the
# next. "cuda" and "tensorrt" accept only their first list: the others show whether it was the provider that failed to
# start.
PROVIDER_LISTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "auto": (("cuda", "cpu"), ("cpu",)),
    "cpu": (("cpu",),),
    "cuda": (("cuda",), ("cuda", "cpu"), ("cpu",)),
    "tensorrt": (("tensorrt", "cuda"), ("tensorrt", "cuda", "cpu"), ("cpu",)),
}
_ERRORS_ONLY, _FATAL_ONLY = 3, 4
# ONNX Runtime's message when a node would fall back to the CPU and that is not allowed.
LEFT_TO_CPU = "assigned to the default CPU EP"


class OnnxRuntimeSession:
    """A network that takes uint8 [N,*shape] and gives float32 [N,classes], with a dynamic batch.

    Args:
        content: the bytes of the ONNX file.
        shape: the shape of one image, channels last: (S,S,3).
        max_batch: the largest batch; more images are run in several batches.
        provider: "cpu", "cuda", "tensorrt" (with CUDA for the nodes that TensorRT does not support), or "auto": CUDA if
            available, else the CPU. "cuda" and "tensorrt" leave nothing to the CPU; "auto" may.
        threads: the number of threads of one run; 0 leaves it to ONNX Runtime, within the cores that this
            process may use.
        precision: the precision that the graph computes in; it is only recorded.
        fixed_batch: run exactly max_batch images every time.

    Raises:
        BundleError: the file is broken or names external data.
        NetworkError: ONNX Runtime does not support the network, the GPU's providers leave a part of it to the CPU, or
            its input or output has another form.
        InputError: the provider is unknown or does not start.
        MissingExtraError: onnxruntime, or one with that provider, is not installed.
    """

    backend = "onnxruntime"

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
        ort = library()
        self.shape, self.max_batch, self.precision = shape, max_batch, precision
        self._fixed_batch = fixed_batch
        self.versions = versions(provider)
        self._session, error = _first_to_open(ort, content, threads, _lists(provider, ort.get_available_providers()))
        # A provider that cannot start only leaves a line in the log, and the next one takes over.
        running = self._session.get_providers()
        self.provider = next(name for name, (long, _) in PROVIDERS.items() if long == running[0])
        if provider not in ("auto", self.provider):
            raise InputError(
                f"Provider '{provider}' is installed but does not start on this machine; available: "
                f"{', '.join(running)}. Check the driver and the libraries that it needs (CUDA and cuDNN; "
                f"TensorRT 10), or use provider 'cpu'."
            ) from error
        if error and provider != "auto":
            raise _refused(provider, error, self._session)
        self._input = _check_form(self._session, shape)

    def run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 [N,*shape] → float32 [N,classes].

        Raises:
            DataError: the images have another type or shape.
            NetworkError: the network's output has another shape.
            WorkError: ONNX Runtime fails.
        """
        check_images(images, self.shape)
        return run_in_parts(self._run, images, self.max_batch, self._fixed_batch)

    def _run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        try:
            logits = self._session.run(None, {self._input: images})[0]
        except Exception as error:
            raise WorkError(f"ONNX Runtime failed on {len(images)} images: {first_line(error)}") from error
        if logits.ndim != 2 or len(logits) != len(images):
            raise NetworkError(f"The network's output is {list(logits.shape)}, expected [{len(images)},classes].")
        return np.asarray(logits, dtype=np.float32)


def _lists(provider: str, present: list[str]) -> tuple[tuple[str, ...], ...]:
    """The lists of providers to try, by their short names."""
    if provider not in PROVIDER_LISTS:
        raise InputError(f"Unknown provider '{provider}'. Known: {', '.join(PROVIDER_LISTS)}.")
    if provider == "auto" and PROVIDERS["cuda"][0] not in present:
        return PROVIDER_LISTS["cpu"]
    if provider != "auto" and PROVIDERS[provider][0] not in present:
        raise MissingExtraError(
            f"Provider '{provider}' is not in this onnxruntime; available: {', '.join(present)}. "
            f"pip uninstall onnxruntime; {install_hint('gpu')}. Or use provider 'cpu'."
        )
    return PROVIDER_LISTS[provider]


def _first_to_open(
    ort: ModuleType, content: bytes, threads: int, lists: Sequence[Sequence[str]]
) -> tuple[Any, NetworkError | None]:
    """A session on the first list of providers that opens, and the error of the very first list if that failed."""
    errors: list[NetworkError] = []
    for names in lists:
        try:
            return open_on(ort, content, threads, names), errors[0] if errors else None
        except NetworkError as error:
            errors.append(error)
    raise errors[0]


def open_on(ort: ModuleType, content: bytes, threads: int, names: Sequence[str]) -> Any:
    """A session on these providers. If "cpu" is not among them, a node that falls back to the CPU is an error."""
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads_for(threads)
    # Otherwise bytes that pose as ONNX Runtime's own format would be read as such and bypass the external data check.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if "cpu" not in names:
        options.log_severity_level = _FATAL_ONLY  # the next list says why
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    elif len(names) > 1:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers = [PROVIDERS[name] for name in names]
    try:
        # Its own fallback would print to stdout, and could switch to the CPU even between two runs.
        return ort.InferenceSession(content, options, providers=providers, enable_fallback=False)
    except Exception as error:  # its exceptions share no base class
        raise NetworkError(f"ONNX Runtime does not support the network: {first_line(error)}") from error


def _refused(provider: str, error: NetworkError, session: Any) -> NetworkError:
    """The error for a network that a working provider does not support; `session` is one that may use the CPU."""
    if LEFT_TO_CPU not in str(error):
        return error
    return NetworkError(
        f"Provider '{provider}' would leave a part of the network to the CPU{_on_cpu(session)}. Use provider 'cpu', or "
        "'auto', which uses both; or build a TensorRT engine."
    )


def _on_cpu(session: Any) -> str:
    """The kinds of nodes that run on the CPU, as ": Shape, Range"; "" if ONNX Runtime is too old to report them."""
    try:
        parts = session.get_provider_graph_assignment_info()
    except AttributeError:
        return ""
    cpu, _ = PROVIDERS["cpu"]
    kinds = dict.fromkeys(node.op_type for part in parts if part.ep_name == cpu for node in part.get_nodes())
    return f": {', '.join(kinds)}" if kinds else ""


def _check_form(session: Any, shape: tuple[int, ...]) -> str:
    """Check that the network has the form that a session expects. Returns the input's name."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    got = ", ".join(f"{it.name}: {it.type} {it.shape}" for it in (*inputs, *outputs))
    fits = (
        len(inputs) == len(outputs) == 1
        and inputs[0].type == "tensor(uint8)"
        and outputs[0].type == "tensor(float)"
        and len(inputs[0].shape) == 1 + len(shape)
        and len(outputs[0].shape) in (0, 2)  # 0: ONNX Runtime does not know it
        and not isinstance(inputs[0].shape[0], int)
        and all(not isinstance(is_, int) or is_ == must for is_, must in zip(inputs[0].shape[1:], shape, strict=True))
    )
    if not fits:
        raise other_form(got, shape)
    return str(inputs[0].name)

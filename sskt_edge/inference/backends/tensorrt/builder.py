"""Build one engine in a separate process: `python -m sskt_edge.inference.backends.tensorrt.builder FOLDER`.

A crash of native code ends only this process, which prints the library's whole log. FOLDER holds request.json,
network.onnx and, for TensorRT, timing.cache. The process writes engine.plan and timing.cache there, and answer.json
last: if that file is missing, the process did not finish. It starts when it reads GO from its input; without GO, it
exits.

TensorRT 10.3, TensorRT 11 and TensorRT for RTX share this code. Only the last has run in this project's tests.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict

from sskt_edge.bundle.manifest import Batch
from sskt_edge.common.errors import InputError, NetworkError, SsktEdgeError, WorkError
from sskt_edge.common.files import storage_errors, write_atomically
from sskt_edge.inference.backends.tensorrt.flavours import Flavour, FlavourName
from sskt_edge.inference.session import other_form

REQUEST, NETWORK, TIMING, PLAN, ANSWER = "request.json", "network.onnx", "timing.cache", "engine.plan", "answer.json"
GO = b"go"
_MOST_NODES = 20
_MOST_ERRORS = 5
_MOST_LETTERS = 500
# Without a GPU each error is followed by one that says so, although building for RTX does not need a GPU.
_NOISE = "cudaError 35"
# TensorRT accepts such a graph, computes numbers that differ from the graph's, and only warns (10.1 and RTX 1.7).
_UINT8_AS_INT8 = "UINT8 zero_point"


class Request(BaseModel):
    """What to build. `compute_capabilities` look like "8.6"; if there are none, the library chooses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flavour: FlavourName
    version: str
    shape: tuple[int, ...]
    batch: Batch
    compute_capabilities: list[str]


class Answer(BaseModel):
    """The outcome: empty, or an error of sskt_edge.common.errors by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error: str = ""
    message: str = ""


def main(folder: Path) -> None:
    """Build what the request in `folder` says, once GO is read, and leave an answer there."""
    if sys.stdin.buffer.read() != GO:
        return
    request = Request.model_validate_json((folder / REQUEST).read_bytes())
    try:
        _build(folder, request)
        answer = Answer()
    except SsktEdgeError as error:
        answer = Answer(error=type(error).__name__, message=str(error))
    write_atomically(folder / ANSWER, answer.model_dump_json().encode())


def _build(folder: Path, request: Request) -> None:
    flavour = Flavour(request.flavour, request.version)
    trt = flavour.module()
    log = build_log(trt)
    try:
        builder = trt.Builder(log)
    except TypeError as error:  # pybind11 raises this when the library returned no object
        raise WorkError(
            f"{flavour} does not start: {_told(log.errors)}. Check the driver (sskt-edge doctor), and install it again."
        ) from error
    # TensorRT 10 needs the flag; 11 and RTX know no other networks.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse((folder / NETWORK).read_bytes()):
        raise NetworkError(f"{flavour} does not support the network. {_refused(parser)}")
    if any(_UINT8_AS_INT8 in warning for warning in log.warnings):
        raise NetworkError(
            f"{flavour} does not support the network: a QuantizeLinear or DequantizeLinear has a uint8 zero point, "
            "which it would compute as int8, with other results. Quantise it symmetrically, with int8 zero points."
        )
    config = builder.create_builder_config()
    # On by default; with it fp32 would keep 10 bits of the mantissa.
    config.clear_flag(trt.BuilderFlag.TF32)
    set_profile(builder, config, _input_of(trt, network, request), request.shape, request.batch, log)
    _set_compute_capabilities(trt, config, request.compute_capabilities)
    timing = folder / TIMING
    if timing.exists():
        start_timing_cache(config, timing.read_bytes())
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise WorkError(
            f"{flavour} could not build the engine: {_told(log.errors)}. If memory is short, close other programs or "
            "lower the largest batch; otherwise build another precision, or with another version."
        )
    with storage_errors(folder):
        (folder / PLAN).write_bytes(plan)
        if timing.exists():
            keep_timing_cache(config, timing)


def build_log(trt: ModuleType) -> Any:
    """A logger that prints everything and keeps the warnings and errors."""

    class Log(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.warnings: list[str] = []
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            # Flush every line: the lines just before a crash are the ones that matter.
            print(f"[{str(severity).rpartition('.')[2]}] {message}", flush=True)
            if severity == trt.ILogger.WARNING:
                self.warnings.append(message)
            elif severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    return Log()


def _refused(parser: Any) -> str:
    """The nodes that the parser refused, each with its operator, its index and the reason.

    These are all nodes whose operator or attributes are not supported, and the first node that fails on import.
    supports_model_v2 parses in the same way, reports the same errors, and calls every subgraph unsupported if there is
    an error (onnx-tensorrt 10.1, ModelImporter::doSupportsModel; RTX 1.7 does the same).
    """
    nodes = [_node(parser.get_error(index)) for index in range(parser.num_errors)]
    more = f"; and {len(nodes) - _MOST_NODES} more" if len(nodes) > _MOST_NODES else ""
    return (
        f"Refused: {'; '.join(nodes[:_MOST_NODES])}{more}. Replace them by supported nodes, and export the network "
        "again."
    )


def _node(error: Any) -> str:
    # code().name cannot be used: in 10.3 it is a method.
    reason = f"{str(error.code()).rpartition('.')[2]}: {_told([error.desc()])}"
    if error.node() < 0:
        return f"the graph ({reason})"
    inside = "".join(f", in {outer}" for outer in reversed(error.local_function_stack()))
    return f"{error.node_operator()} '{error.node_name()}' at node {error.node()}{inside} ({reason})"


def _told(messages: list[str]) -> str:
    """The errors in one line, without those that every machine without a GPU reports."""
    lines = [line.strip() for message in messages for line in message.splitlines() if _NOISE not in line]
    return "; ".join(lines[:_MOST_ERRORS])[:_MOST_LETTERS].rstrip(".") or "it gave no reason"


def _input_of(trt: ModuleType, network: Any, request: Request) -> str:
    """Check that the network has the form that a session expects. Returns the input's name."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    fits = (
        len(inputs) == len(outputs) == 1
        and inputs[0].dtype == trt.DataType.UINT8
        and outputs[0].dtype == trt.DataType.FLOAT
        and tuple(inputs[0].shape) == (-1, *request.shape)
        and len(outputs[0].shape) == 2
    )
    if not fits:
        got = ", ".join(f"{it.name}: {str(it.dtype).rpartition('.')[2]} {list(it.shape)}" for it in (*inputs, *outputs))
        raise other_form(got, request.shape)
    return str(inputs[0].name)


def set_profile(builder: Any, config: Any, name: str, shape: tuple[int, ...], batch: Batch, log: Any) -> None:
    """Build for these batches of the input `name`.

    Raises:
        WorkError: the library does not accept them; its messages are in `log`.
    """
    profile = builder.create_optimization_profile()
    profile.set_shape(name, *((images, *shape) for images in (batch.min, batch.opt, batch.max)))
    if config.add_optimization_profile(profile) < 0:
        raise WorkError(
            f"TensorRT does not accept batches of {batch.min}, {batch.opt} and {batch.max} images of {list(shape)}: "
            f"{_told(log.errors)}. Set others: export.batch."
        )


def _set_compute_capabilities(trt: ModuleType, config: Any, wanted: list[str]) -> None:
    """Build for these GPUs only; if there are none, the library chooses. Only TensorRT for RTX has this option."""
    if not wanted:
        return
    known = {
        f"{name[2:-1]}.{name[-1]}": cc for name, cc in trt.ComputeCapability.__members__.items() if name[:2] == "SM"
    }
    for capability in wanted:
        if capability not in known:
            raise InputError(f"Unknown compute capability '{capability}'. Known: {', '.join(known)}.")
    config.num_compute_capabilities = len(wanted)
    for index, capability in enumerate(wanted):
        config.set_compute_capability(known[capability], index)


def start_timing_cache(config: Any, content: bytes) -> None:
    """Build with the measurements of earlier builds; an empty cache replaces one of another GPU or version."""
    for start in (content, b""):
        cache = config.create_timing_cache(start)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return


def keep_timing_cache(config: Any, path: Path) -> None:
    """Replace the timing cache of earlier builds by that of this build, if it has one."""
    cache = config.get_timing_cache()
    if cache is not None:
        path.write_bytes(cache.serialize())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Build an engine from an ONNX file in a separate process, so that a crash of native code becomes an error message."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from sskt_edge.bundle.manifest import Batch
from sskt_edge.bundle.onnx_wire import refuse_untrusted
from sskt_edge.common import errors
from sskt_edge.common.errors import InputError, SsktEdgeError, WorkError
from sskt_edge.common.files import storage_errors
from sskt_edge.common.progress import QUIET, Progress
from sskt_edge.common.version import __version__
from sskt_edge.inference.backends.tensorrt import builder, cuda
from sskt_edge.inference.backends.tensorrt.flavours import Flavour
from sskt_edge.inference.backends.tensorrt.sidecar import Sidecar, this_platform

_LOG = "log.txt"
_LAST_LINES = 10


@dataclass(frozen=True)
class Built:
    """An engine and what is known about it.

    Attributes:
        plan: the serialised engine, which the library runs.
        sidecar: what it was built from, by which library, and for which machine.
        timing_cache: the measurements of this build, for the next one; empty with TensorRT for RTX, which takes none.
        log: the library's whole log.
        seconds: the duration of the build.
    """

    plan: bytes
    sidecar: Sidecar
    timing_cache: bytes
    log: str
    seconds: float


def build_engine(
    onnx: bytes,
    *,
    shape: tuple[int, ...],
    batch: Batch,
    network: str,
    flavour: Flavour,
    compute_capabilities: Sequence[str] = (),
    timing_cache: bytes = b"",
    progress: Progress = QUIET,
) -> Built:
    """Build an engine for batches in `batch` that computes in the types of the graph, with TF32 off.

    TensorRT builds for the GPU that it runs on. TensorRT for RTX needs no GPU; by default it builds for compute
    capability 8.0 and later, and for 7.5 only if this is requested and the graph is fp16.

    Args:
        onnx: the file, with one input uint8 [N,*shape] and one output float32 [N,classes], N dynamic.
        shape: the shape of one image, channels last: (S,S,3).
        batch: the smallest, the optimal and the largest batch.
        network: the graph's precision, by its name in the manifest; it is only recorded.
        flavour: the library that builds it.
        compute_capabilities: build for these GPUs only, such as "8.6"; TensorRT for RTX alone has the choice.
        timing_cache: the cache of an earlier build; one of another GPU or version is not used.
        progress: draws the bar.

    Raises:
        BundleError: the file is broken or names external data.
        NetworkError: the network is refused, and the message lists each refused node; or it has another form.
        InputError: the compute capability does not exist or cannot be chosen, or there is no GPU where one is needed.
        MissingExtraError: the library does not load.
        WorkError: the build failed or crashed.
        StorageError: the files cannot be written to the temporary folder.
        Interrupted: a signal came; nothing is left behind.
    """
    refuse_untrusted(onnx, "the ONNX file")
    targets, gpu = _targets(flavour, compute_capabilities)
    request = builder.Request(
        flavour=flavour.name,
        version=flavour.version,
        shape=shape,
        batch=batch,
        compute_capabilities=[] if gpu else targets,
    )
    files = {builder.NETWORK: onnx, builder.REQUEST: request.model_dump_json().encode()}
    if flavour.name == "tensorrt":
        files[builder.TIMING] = timing_cache
    begun = time.perf_counter()
    with progress.bar(f"engine {network}", 1) as bar:
        made = _made_of(files, flavour)
        bar.advance()
    plan = made[builder.PLAN]
    sidecar = Sidecar(
        flavour=flavour.name,
        version=flavour.version,
        gpu=gpu,
        compute_capabilities=targets,
        network=network,
        batch=batch,
        shape=shape,
        tf32=False,
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        created=datetime.now(timezone.utc),
        tool_version=__version__,
        platform=this_platform(),
    )
    log = made[_LOG].decode(errors="replace")
    return Built(plan, sidecar, made.get(builder.TIMING, b""), log, time.perf_counter() - begun)


def _targets(flavour: Flavour, wanted: Sequence[str]) -> tuple[list[str], str | None]:
    """The compute capabilities for the sidecar, and the GPU that the engine is bound to, if it is bound to one."""
    for capability in wanted:
        if re.fullmatch(r"[0-9]+\.[0-9]", capability) is None:
            raise InputError(f"Compute capability: got '{capability}', expected a form such as '8.6'.")
    if flavour.name == "tensorrt_rtx":
        return list(wanted), None
    if wanted:
        raise InputError(
            f"{flavour} builds for the GPU of this machine only; got compute capabilities {', '.join(wanted)}. "
            "Leave them out, or build with tensorrt_rtx."
        )
    gpu = cuda.need_device()
    return [gpu.compute_capability], gpu.name


def _made_of(files: dict[str, bytes], flavour: Flavour) -> dict[str, bytes]:
    """Run the builder on these files in a temporary folder. Returns the files that it wrote: name → content."""
    with storage_errors(Path(tempfile.gettempdir())):
        temporary = tempfile.TemporaryDirectory(prefix="sskt-edge-", ignore_cleanup_errors=True)
    with temporary:
        folder = Path(temporary.name)
        with storage_errors(folder):
            for name, content in files.items():
                (folder / name).write_bytes(content)
        _run_builder(folder, flavour)
        return {name: (folder / name).read_bytes() for name in {*files, builder.PLAN, _LOG} - {builder.NETWORK}}


def _run_builder(folder: Path, flavour: Flavour) -> None:
    """Run the builder process, and raise the error that it reports."""
    # It runs in that folder: Python looks for modules in the current one, where it could find a folder 'tensorrt'.
    # It runs in UTF-8: layer names may have any letters, and an encoding error in its logger would end the process.
    command = [sys.executable, "-X", "utf8", "-m", builder.__name__, str(folder)]
    with (
        (folder / _LOG).open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            # If a signal interrupts the start, the process is out of reach; without this word it then ends by itself.
            process.communicate(builder.GO)
        finally:
            process.kill()  # has no effect if it has ended
    if not (folder / builder.ANSWER).exists():
        raise _crash(process.returncode, flavour, (folder / _LOG).read_text(encoding="utf-8", errors="replace"))
    answer = builder.Answer.model_validate_json((folder / builder.ANSWER).read_bytes())
    if answer.error:
        kind: type[SsktEdgeError] = getattr(errors, answer.error)
        raise kind(answer.message)


def _crash(code: int, flavour: Flavour, log: str) -> WorkError:
    """The error for a process that ended without an answer."""
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    if code == -getattr(signal, "SIGKILL", 0):
        todo = "The system does this when memory runs out: close other programs and try again."
    else:
        todo = "Native code crashed on this network: build with another version, or change the network."
    lines = [line for line in log.splitlines() if line.strip()][-_LAST_LINES:]
    return WorkError(
        f"{flavour}: the process that builds the engine ended {how}. {todo} Its last lines:\n"
        + "\n".join(lines or ["(none)"])
    )

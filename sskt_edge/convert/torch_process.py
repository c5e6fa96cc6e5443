"""Run torch in a separate process, which returns its memory when it ends.

Importing torch and its exporter takes most of a gigabyte that a process cannot give back, and the rest of an export
needs neither. If torch is loaded already, as after a training in the same process, it is used in that process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any, NoReturn, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from sskt_edge.common.errors import WorkError
from sskt_edge.common.progress import Bar, Progress
from sskt_edge.targets.finished_run import FinishedRun

FromTorch: TypeAlias = "tuple[bytes, NDArray[np.float32] | None]"  # the return type of fp32_from_run.from_torch


def ask_torch(run: FinishedRun, searched: NDArray[np.uint8] | None, progress: Progress) -> FromTorch:
    """Do the part of an export that needs torch: here if torch is loaded, else in a separate process.

    Args:
        run: the run whose network is exported; if the network is loaded, it is used as it is in memory.
        searched: the images to answer, uint8 [N,*shape]; None if there are none.
        progress: draws the bars.

    Returns:
        The content of the fp32 ONNX file; the trained network's logits of `searched`, float32 [N,classes], or None.

    Raises:
        RunError: the weights are missing or were changed.
        ParityError: they do not reproduce the logits of the training.
        WorkError: the process was killed, for example because memory ran out.
    """
    if "torch" in sys.modules:
        return _here(run, searched, progress)
    with _started() as process:
        assert process.stdin is not None
        with progress.bar("load torch", 1):
            try:
                with process.stdin:
                    pickle.dump((run, searched), process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            except OSError:
                pass  # it has ended, which the next line finds
            _next(process)
        return _follow(process, progress)


def _here(run: FinishedRun, searched: NDArray[np.uint8] | None, progress: Progress) -> FromTorch:
    from sskt_edge.convert.fp32_from_run import from_torch
    from sskt_edge.targets.run_folder import TrainedNetwork, with_network

    return from_torch(run if isinstance(run, TrainedNetwork) else with_network(run), searched, progress)


@contextmanager
def _started() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs `serve`. It is ended with the context, whatever happens inside.

    If a signal interrupts the start itself, the process is out of reach; it is sent no run and ends by itself.
    """
    # Use exactly the import path of this process: python -c would look into the current folder first.
    code = f"import sys; sys.path = {sys.path!r}; from {__name__} import serve; serve()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only this process, which ends the other
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _next(process: subprocess.Popen[bytes]) -> tuple[Any, ...]:
    """The next message of the process.

    Raises:
        WorkError: it ended without sending one.
        Exception: the error that the process itself raised.
    """
    assert process.stdout is not None
    try:
        kind, *told = pickle.load(process.stdout)  # noqa: S301 (from the process that was started here)
    except (EOFError, pickle.UnpicklingError):
        raise WorkError(
            f"The process that runs torch ended with code {process.wait()} before it answered. Code -9 usually "
            f"means that the system ran out of memory: close other programs and try again."
        ) from None
    if kind == "failed":
        error, trace = told
        raise error from RuntimeError(f"in the process that runs torch:\n{trace}")
    return kind, *told


def _follow(process: subprocess.Popen[bytes], progress: Progress) -> FromTorch:
    """Show the progress that the process reports, until it has answered."""
    bars: list[tuple[AbstractContextManager[Bar], Bar]] = []
    try:
        while True:
            kind, *told = _next(process)
            if kind == "bar":
                context = progress.bar(*told)
                bars.append((context, context.__enter__()))
            elif kind == "advance":
                bars[-1][1].advance(*told)
            elif kind == "end":
                bars.pop()[0].__exit__(None, None, None)
            elif kind == "say":
                progress.say(*told)
            else:
                return cast(FromTorch, told[0])
    finally:
        while bars:
            bars.pop()[0].__exit__(None, None, None)


class _Told:
    """Progress that the other process shows."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def send(self, *message: object) -> None:
        """Write a message."""
        pickle.dump(message, self._stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._stream.flush()

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        """A bar in the other process."""
        self.send("bar", what, total)
        try:
            yield self
        finally:
            self.send("end")

    def advance(self, steps: int = 1) -> None:
        """Advance the bar."""
        self.send("advance", steps)

    def note(self, text: str) -> None:
        """Do nothing: the bars of this part show no notes."""

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.send("say", line)


def serve() -> NoReturn:
    """The main function of the process: it reads a run and images from stdin, and writes messages to stdout."""
    told = _Told(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keep what a library prints apart from the messages
    try:
        run, searched = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the process that started this one)
    except (EOFError, pickle.UnpicklingError):  # the other process was stopped before it sent a request
        os._exit(1)
    try:
        import sskt_edge.convert.fp32_from_run  # noqa: F401 (it takes a second or more, and has a bar of its own)

        told.send("loaded")
        told.send("made", _here(run, searched, told))
    except BrokenPipeError:  # the other process no longer waits
        pass
    except BaseException as error:
        told.send("failed", error, traceback.format_exc())
    os._exit(0)  # an orderly shutdown of torch takes time and another 100 MB

"""Torch in a process of its own, which returns its memory when it ends.

An import of torch and its exporter takes most of a gigabyte that a process cannot give back, and what follows in an
export needs neither. Where torch is loaded already, such as behind a training in the same process, it is used there.
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

FromTorch: TypeAlias = "tuple[bytes, NDArray[np.float32] | None]"  # as fp32_from_run.from_torch returns it


def ask_torch(run: FinishedRun, searched: NDArray[np.uint8] | None, progress: Progress) -> FromTorch:
    """What an export takes from torch, made here where torch is loaded, else in a process of its own.

    Args:
        run: whose network it is; one that is loaded is used as it is in memory.
        searched: uint8 [N,*shape], the images to answer; None if there are none.
        progress: draws the bars.

    Returns:
        The content of the fp32 ONNX file; the trained network's logits of `searched`, float32 [N,classes], or None.

    Raises:
        RunError: the weights are missing or were changed.
        ParityError: they answer otherwise than the network did in training.
        WorkError: the process was ended from outside, such as for want of memory.
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
    """A process that serves; it has ended when the context has, whatever happens inside."""
    # The same places to import from as here, and no other: python -c would look into the current folder first.
    code = f"import sys; sys.path = {sys.path!r}; from {__name__} import serve; serve()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches this process alone, which ends the other
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _next(process: subprocess.Popen[bytes]) -> tuple[Any, ...]:
    """The next message of the process.

    Raises:
        WorkError: it ended without one.
        Exception: what it raised itself.
    """
    assert process.stdout is not None
    try:
        kind, *told = pickle.load(process.stdout)  # noqa: S301 (of the process that was started here)
    except (EOFError, pickle.UnpicklingError):
        raise WorkError(
            f"The process that runs torch ended with code {process.wait()} before it had answered. Code -9 mostly "
            f"means that the system had too little memory: close other programs and try again."
        ) from None
    if kind == "failed":
        error, trace = told
        raise error from RuntimeError(f"in the process that runs torch:\n{trace}")
    return kind, *told


def _follow(process: subprocess.Popen[bytes], progress: Progress) -> FromTorch:
    """Draw what the process tells of its progress, until it has answered."""
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
    """Progress that is drawn by the other process."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def send(self, *message: object) -> None:
        """Write a message."""
        pickle.dump(message, self._stream, protocol=pickle.HIGHEST_PROTOCOL)
        self._stream.flush()

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        """A bar over there."""
        self.send("bar", what, total)
        try:
            yield self
        finally:
            self.send("end")

    def advance(self, steps: int = 1) -> None:
        """Advance the bar."""
        self.send("advance", steps)

    def note(self, text: str) -> None:
        """Torch's part has none."""

    def say(self, line: str) -> None:
        """A line that stays."""
        self.send("say", line)


def serve() -> NoReturn:
    """What the process does: it reads a run and images from stdin, and writes messages to stdout."""
    told = _Told(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keep what a library prints apart from the messages
    try:
        run, searched = pickle.load(sys.stdin.buffer)  # noqa: S301 (of the process that started this one)
    except (EOFError, pickle.UnpicklingError):  # it was stopped before it had asked
        os._exit(1)
    try:
        import sskt_edge.convert.fp32_from_run  # noqa: F401 (it takes a second or more, and has a bar of its own)

        told.send("loaded")
        told.send("made", _here(run, searched, told))
    except BrokenPipeError:  # nobody waits any more
        pass
    except BaseException as error:
        told.send("failed", error, traceback.format_exc())
    os._exit(0)  # an orderly end of torch takes another 100 MB, and its time

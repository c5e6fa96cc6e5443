"""The logs of a run: a text log for people, metrics.jsonl for programs, and TensorBoard's events for both."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from sskt_edge.common.files import storage_errors, write_atomically
from sskt_edge.common.printable import printable_lines
from sskt_edge.common.progress import Progress
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.epoch_table import epoch_of

_RESULT = "result: "
_STAMP = len("2026-01-31 23:59:59 ")


class RunLog:
    """The open logs of a training; `epoch` is the first that it will write, so that a resumed run repeats no line.

    Args:
        folder: the run's folder.
        progress: shows the lines too.
        epoch: the first epoch to write, counted from 0.
        show_epochs: whether `progress` shows a line for every epoch.
    """

    def __init__(self, folder: RunFolder, progress: Progress, epoch: int, *, show_epochs: bool = True) -> None:
        self._folder, self._progress, self._show_epochs = folder, progress, show_epochs
        self._keep_lines_before(epoch)
        self._earlier = frozenset(self._lines())
        # Events are written here and at once, so that a full disk is reported: torch's own writer fails in a thread.
        with storage_errors(folder.path):
            self._file = (folder.path / f"events.out.tfevents.{time.time_ns()}").open("wb")
        self._records = RecordWriter(self._file)
        self._event(file_version="brain.Event:2")
        # TensorBoard drops earlier events from this step on.
        self._event(session_log=SessionLog(status=SessionLog.START), step=epoch + 1)

    def say(self, line: str) -> None:
        """Write a line to the log and to the progress."""
        self.note(line)
        self._progress.say(line)

    def say_once(self, line: str) -> None:
        """Like say, but do not log again what an earlier session of this run has logged."""
        if line not in self._earlier:
            self.note(line)
        self._progress.say(line)

    def epoch(self, line: str) -> None:
        """Write a line of the table of epochs, including its header."""
        if line not in self._earlier:
            self.note(line)
        if self._show_epochs:
            self._progress.say(line)

    def metrics(self, line: dict[str, Any]) -> None:
        """Write the figures of an epoch; `line` has the key "epoch"."""
        with storage_errors(self._folder.metrics), self._folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        values = [Summary.Value(tag=key, simple_value=value) for key, value in line.items() if key != "epoch"]
        self._event(summary=Summary(value=values), step=line["epoch"])

    def note(self, line: str) -> None:
        """Write a line to the log only."""
        _note(self._folder, line)

    def close(self) -> None:
        """Close the files; everything has been written already."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _event(self, **content: Any) -> None:
        with storage_errors(self._folder.path):
            self._records.write(Event(wall_time=time.time(), **content).SerializeToString())
            self._records.flush()

    def _keep_lines_before(self, epoch: int) -> None:
        """Drop the lines of epochs that will be repeated: a killed run may have logged past its last checkpoint."""
        if self._folder.metrics.is_file():
            lines = self._folder.metrics.read_bytes().splitlines()  # bytes: a damaged line does not stop the run
            write_atomically(self._folder.metrics, b"".join(line + b"\n" for line in lines[:epoch]))
        if self._folder.log.is_file():
            text = self._folder.log.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [line for line in text if not _done_again(line[_STAMP:], epoch)]
            write_atomically(self._folder.log, "".join(f"{line}\n" for line in kept).encode())

    def _lines(self) -> list[str]:
        """The log's lines without their times."""
        if not self._folder.log.is_file():
            return []
        return [line[_STAMP:] for line in self._folder.log.read_text(encoding="utf-8", errors="replace").splitlines()]


def note_result(folder: RunFolder, line: str) -> None:
    """Write the last line of a run's log. Opening the log drops it, so that a run finished again has it once."""
    _note(folder, f"{_RESULT}{line}")


def _note(folder: RunFolder, line: str) -> None:
    with storage_errors(folder.log), folder.log.open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {printable_lines(line)}\n")


def _done_again(line: str, epoch: int) -> bool:
    number = epoch_of(line)
    return line.startswith(_RESULT) or (number is not None and number > epoch)

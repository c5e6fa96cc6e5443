"""What a run writes while it goes: a log for people, metrics.jsonl for programs, TensorBoard's events for both."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from sskt_edge.runtime.files import storage_errors, write_atomically
from sskt_edge.runtime.progress import Progress
from sskt_edge.targets.run_layout import RunFolder


class RunLog:
    """Open while a training goes on; `epoch` is the first that it will write, so that a resumed run repeats no line."""

    def __init__(self, folder: RunFolder, progress: Progress, epoch: int) -> None:
        self._folder, self._progress = folder, progress
        self._keep_lines_before(epoch)
        # Written at once and here, where a full disk is met as such: torch's own writer meets it in a thread.
        with storage_errors(folder.path):
            self._file = (folder.path / f"events.out.tfevents.{time.time_ns()}").open("wb")
        self._records = RecordWriter(self._file)
        self._event(file_version="brain.Event:2")
        self._event(session_log=SessionLog(status=SessionLog.START), step=epoch + 1)  # what follows replaces

    def say(self, line: str) -> None:
        """A line for the log, and for whoever watches."""
        self.note(line)
        self._progress.say(line)

    def metrics(self, line: dict[str, Any]) -> None:
        """The figures of an epoch; `line` has "epoch"."""
        with storage_errors(self._folder.metrics), self._folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        values = [Summary.Value(tag=key, simple_value=value) for key, value in line.items() if key != "epoch"]
        self._event(summary=Summary(value=values), step=line["epoch"])

    def note(self, line: str) -> None:
        """A line for the log alone."""
        with storage_errors(self._folder.log), self._folder.log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def close(self) -> None:
        """Let go of the files; everything is written already."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _event(self, **content: Any) -> None:
        with storage_errors(self._folder.path):
            self._records.write(Event(wall_time=time.time(), **content).SerializeToString())
            self._records.flush()

    def _keep_lines_before(self, epoch: int) -> None:
        """Drop the lines of epochs that will be done again: a killed run may have logged past its last checkpoint."""
        if self._folder.metrics.is_file():
            lines = self._folder.metrics.read_bytes().splitlines()  # bytes: a damaged line is no reason to stop
            write_atomically(self._folder.metrics, b"".join(line + b"\n" for line in lines[:epoch]))

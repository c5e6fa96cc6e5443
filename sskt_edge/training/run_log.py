"""What a run writes while it goes: a log for people, metrics.jsonl for programs, TensorBoard's events for both."""

from __future__ import annotations

import json
import time
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from sskt_edge.runtime.files import storage_errors, write_atomically
from sskt_edge.runtime.progress import Progress
from sskt_edge.targets.run_folder import RunFolder


class RunLog:
    """Open while a training goes on; `epoch` is the first that it will write, so that a resumed run repeats no line."""

    def __init__(self, folder: RunFolder, progress: Progress, epoch: int) -> None:
        self._folder, self._progress = folder, progress
        self._keep_lines_before(epoch)
        with storage_errors(folder.path):
            self._events = SummaryWriter(str(folder.path), purge_step=epoch, max_queue=1000)

    def say(self, line: str) -> None:
        """A line for the log, and for whoever watches."""
        with storage_errors(self._folder.log), self._folder.log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        self._progress.say(line)

    def metrics(self, line: dict[str, Any]) -> None:
        """The figures of an epoch; `line` has "epoch"."""
        with storage_errors(self._folder.metrics), self._folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for key, value in line.items():
            if key != "epoch" and value is not None:
                self._events.add_scalar(key, value, line["epoch"])

    def close(self) -> None:
        """Write what is still in memory."""
        self._events.close()

    def _keep_lines_before(self, epoch: int) -> None:
        """Drop the lines of epochs that will be done again: a killed run may have logged past its last checkpoint."""
        if self._folder.metrics.is_file():
            lines = self._folder.metrics.read_text(encoding="utf-8").splitlines()
            write_atomically(self._folder.metrics, "".join(f"{line}\n" for line in lines[:epoch]).encode())

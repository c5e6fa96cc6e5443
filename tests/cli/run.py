"""The command as a user runs it: in a process of its own, or, where that shows the same, in this one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from sskt_edge.cli.main import main


def sskt_edge(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `sskt-edge` with these words in the folder `cwd`."""
    return subprocess.run(
        [sys.executable, "-m", "sskt_edge.cli.main", *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class Verb:
    """`sskt-edge` in this process, with streams of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch, self._folder = monkeypatch, folder

    def __call__(self, *words: str, encoding: str = "utf-8", **files: IO[bytes]) -> tuple[int, str, str]:
        """The exit code, and what it wrote on stdout and stderr, where they are not among `files`."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        own = {name: (self._folder / name).open("w+b") for name in ("stdout", "stderr") if name not in files}
        with self._monkeypatch.context() as patch:
            patch.chdir(self._folder)
            patch.setattr(sys, "argv", ["sskt-edge", *words])
            for name, file in {**own, **files}.items():
                # Not closed here, as Python's own are not; the descriptor belongs to `file`.
                stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(file.fileno(), "wb", closefd=False)), encoding)
                patch.setattr(sys, name, stream)
            with pytest.raises(SystemExit) as end:
                main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        said = {}
        for name, file in own.items():
            file.close()
            said[name] = (self._folder / name).read_text(encoding)
        assert isinstance(end.value.code, int)
        return end.value.code, said.get("stdout", ""), said.get("stderr", "")

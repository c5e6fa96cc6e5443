"""The command as a user runs it: in a process of its own, or, where that shows the same, in this one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
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
    """`sskt-edge` in this process, with streams of its own, in the folder `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self, *words: str, encoding: str = "utf-8", columns: int = 200, **files: IO[bytes]
    ) -> tuple[int, str, str]:
        """The exit code, and what it wrote on stdout and stderr, where they are not among `files`."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            own = {"stdout": stdout, "stderr": stderr}
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(self._folder)
                patch.setenv("COLUMNS", str(columns))
                patch.setattr(sys, "argv", ["sskt-edge", *words])
                for name, file in {**own, **files}.items():
                    # Not closed here, as Python's own are not; the descriptor belongs to `file`.
                    raw = io.FileIO(file.fileno(), "wb", closefd=False)
                    patch.setattr(sys, name, io.TextIOWrapper(io.BufferedWriter(raw), encoding))
                with pytest.raises(SystemExit) as end:
                    main()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for file in own.values():
                file.seek(0)
            said = [file.read().decode(encoding) for file in own.values()]
        assert isinstance(end.value.code, int)
        return end.value.code, said[0], said[1]

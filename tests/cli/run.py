"""The command as a user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


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

"""Locks between processes that are real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.runtime.progress import Quiet
from sskt_edge.study.lock import held, is_held

HOLD = """
import sys
from pathlib import Path
from sskt_edge.runtime.progress import QUIET
from sskt_edge.study.lock import held
with held(Path(sys.argv[1]), QUIET):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that holds tmp_path / "a" until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_is_held_as_long_as_its_process_lives(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    assert is_held(tmp_path / "a")
    assert not is_held(tmp_path / "b")
    holder.kill()
    holder.communicate()
    assert not is_held(tmp_path / "a")


def test_who_comes_second_waits_and_says_for_whom(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    said: list[str] = []

    class Watching(Quiet):
        def say(self, line: str) -> None:
            said.append(line)
            holder.communicate("go on\n")

    with held(tmp_path / "a", Watching()):
        assert is_held(tmp_path / "a")
    assert said == [f"Waiting for process {holder.pid} on {_node()}, which trains the same recipe."]


def _node() -> str:
    import platform

    return platform.node()

"""Questions to the system. None of them raises, and none waits for long."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FAULT_LENGTH = 200


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        text: all that it printed.
        fault: what went wrong, or "".
    """

    text: str
    fault: str = ""


def text_of(path: Path) -> str | None:
    """What a file of the kernel says, without the zeros and spaces around it; None if it is empty or not readable."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace").strip("\0 \n") or None
    except OSError:
        return None


def number_of(path: Path, unit: float = 1) -> float | None:
    """The number in a file of the kernel, in units of `unit`; None if there is none."""
    try:
        return float(text_of(path) or "") / unit
    except ValueError:
        return None


def ask(name: str, *arguments: str, seconds: float = 10) -> Answer | None:
    """What a program answers within `seconds`; None where it is not installed."""
    # A folder of PATH that is not a whole path may be one that was unpacked, with a program of that name in it.
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    program = shutil.which(name, path=os.pathsep.join(folders))
    return None if program is None else _run([program, *arguments], name, seconds)


def ask_python(script: Path, name: str, seconds: float) -> Answer:
    """What a script, run by this Python, answers within `seconds`; `name` stands for it in a fault."""
    # Python looks for modules in the script's folder, not in the current one.
    return _run([sys.executable, str(script)], name, seconds)


def _run(command: Sequence[str], name: str, seconds: float) -> Answer:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return Answer("", f"{name} does not start: {error}")
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _abandon(process)
        return Answer("", f"{name} gives no answer within {seconds:g} s")
    if process.returncode == 0:
        return Answer(text)
    return Answer(text, f"{name} fails: {' '.join(text.split())[:_FAULT_LENGTH] or process.returncode}")


def _abandon(process: subprocess.Popen[str]) -> None:
    """End it, without waiting for one that hangs in a driver and cannot end."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    if process.stdout:
        process.stdout.close()

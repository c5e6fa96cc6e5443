"""Query the system. No query raises, and none waits for long."""

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
    """The answer of a program.

    Attributes:
        text: everything that it printed.
        fault: what went wrong, or "".
    """

    text: str
    fault: str = ""


def text_of(path: Path) -> str | None:
    """The text of a kernel file, without the NULs and spaces around it; None if it is empty or not readable."""
    try:
        return path.read_bytes().decode("utf-8", errors="replace").strip("\0 \n") or None
    except OSError:
        return None


def number_of(path: Path, unit: float = 1) -> float | None:
    """The number in a kernel file, in units of `unit`; None if there is none."""
    try:
        return float(text_of(path) or "") / unit
    except ValueError:
        return None


def ask(name: str, *arguments: str, seconds: float = 10) -> Answer | None:
    """The answer of a program within `seconds`; None if it is not installed."""
    # A relative folder in PATH may be an unpacked archive that contains a program of that name.
    folders = filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
    program = shutil.which(name, path=os.pathsep.join(folders))
    return None if program is None else _run([program, *arguments], name, seconds)


def ask_python(script: Path, name: str, seconds: float) -> Answer:
    """The answer of a script, run by this Python, within `seconds`; `name` is its name in a fault."""
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
        return Answer("", f"{name} failed to start: {error}")
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _abandon(process)
        return Answer("", f"{name} did not respond within {seconds:g} s")
    if process.returncode == 0:
        return Answer(text)
    return Answer(text, f"{name} failed: {' '.join(text.split())[:_FAULT_LENGTH] or process.returncode}")


def _abandon(process: subprocess.Popen[str]) -> None:
    """Kill the process, without waiting for one that hangs in a driver and cannot end."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    if process.stdout:
        process.stdout.close()

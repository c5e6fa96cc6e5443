"""Questions to the system. None of them raises, and none waits for long."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sskt_edge.machine.programs import find_program

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


def ask(*command: str, seconds: float = 10) -> Answer | None:
    """What a program answers within `seconds`; None where it is not installed."""
    program = find_program(command[0])
    if program is None:
        return None
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return Answer("", f"{command[0]} does not start: {error}")
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _abandon(process)
        return Answer("", f"{command[0]} gives no answer within {seconds:g} s")
    if process.returncode == 0:
        return Answer(text)
    return Answer(text, f"{command[0]} fails: {' '.join(text.split())[:_FAULT_LENGTH] or process.returncode}")


def _abandon(process: subprocess.Popen[str]) -> None:
    """End it, without waiting for one that hangs in a driver and cannot end."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    if process.stdout:
        process.stdout.close()

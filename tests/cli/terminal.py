"""What is printed, on a terminal of some width or through a pipe; and whether a value can be read there."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len

WIDTHS = (60, 80, 120, None)  # None: a pipe
LONG = "the_blanket_flower_of_the_north_american_prairie_in_summer"
NAMES = (
    LONG,
    "中文类别名称很长很长的花朵名称在这里写着而且还要更长一些",
    ":smile: [bold]x[/bold]",
    " ".join(["kleine Blüte"] * 5),
)


class Screen:
    """Prints for a test, and gives what was printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def of(self, width: int | None, show: Callable[[], object]) -> str:
        """What `show` prints on stdout of a terminal of `width` columns, or of a pipe."""
        with self._monkeypatch.context() as patch:
            patch.setenv("COLUMNS", str(width or 60))
            patch.delenv("FORCE_COLOR", raising=False)
            if width is not None:
                patch.setenv("FORCE_COLOR", "1")
                patch.setenv("TERM", "xterm")
            show()
        return re.sub(r"\x1b\[[0-9;]*m", "", self._capsys.readouterr().out)


def holds(printed: str, value: str) -> bool:
    """Whether a value stands there in one piece, or in pieces one below the other, apart from blanks."""
    lines = [
        [cell for letter in line for cell in (letter, *[""] * (cell_len(letter) - 1))] for line in printed.split("\n")
    ]
    letters = "".join(value.split())

    def goes_on(number: int, start: int, done: int) -> bool:
        matched, line = done, lines[number] if number < len(lines) else []
        ends = []
        for place, cell in enumerate(line[start:], start):
            if cell == "" or (cell == " " and line[place - 1] != " "):
                continue
            if matched == len(letters) or cell != letters[matched]:
                break
            matched += 1
            ends.append(matched)
        return matched == len(letters) or any(goes_on(number + 1, start, end) for end in reversed(ends))

    return any(
        goes_on(number, start, 0)
        for number, line in enumerate(lines)
        for start, cell in enumerate(line)
        if cell == letters[0]
    )

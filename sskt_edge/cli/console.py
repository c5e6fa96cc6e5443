"""The console of every verb: names from files that others made are printed, and never obeyed by the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

_KEPT = "\n\t"
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_TURNS = [0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]  # they turn the order of letters
_HARMLESS = dict.fromkeys({*_CONTROLS, *_TURNS} - {ord(letter) for letter in _KEPT}, "\N{REPLACEMENT CHARACTER}")


class Console(rich.console.Console):
    """Rich's console, which prints a sign in place of each character that would move, colour or turn what follows."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is to be printed."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else text.translate(_HARMLESS), style, control)

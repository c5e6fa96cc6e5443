"""The console that every verb prints to. Neither Rich nor the terminal interprets the text that is printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from sskt_edge.cli.streams import encodable
from sskt_edge.common.printable import printable_lines


class Console(rich.console.Console):
    """Rich's console without markup, emoji codes and highlighting.

    Characters that the terminal would interpret, or that the stream's encoding lacks, are replaced before layout, so
    that columns stay aligned. They are replaced again when printing, because Rich's own Text arrives only then.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)

    def shown(self, text: str) -> str:
        """The text with all characters replaced that cannot be printed here."""
        return encodable(printable_lines(text), getattr(self.file, "encoding", None) or "utf-8")

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert plain text to Rich's Text."""
        return super().render_str(self.shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments to print."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else self.shown(text), style, control)

"""The console of every verb: text is printed as it is, and never obeyed, by Rich as markup or by the terminal."""

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

    What the terminal would obey, or the stream's encoding lacks, is replaced before the text is laid out, so that
    columns stay straight; and once more when it is printed, since a Text of Rich comes here only then.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)

    def shown(self, text: str) -> str:
        """The text as it can be printed here."""
        return encodable(printable_lines(text), getattr(self.file, "encoding", None) or "utf-8")

    def render_str(self, text: str, **options: Any) -> Text:
        """A text of Rich from a plain one."""
        return super().render_str(self.shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is to be printed."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else self.shown(text), style, control)

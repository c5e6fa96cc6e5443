"""What long work reports while it runs. The command line draws bars; a library call is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of work that advances."""

    def advance(self, steps: int = 1) -> None:
        """`steps` more of the total are done."""

    def note(self, text: str) -> None:
        """Show a short text next to the bar (a loss, an accuracy)."""


class Progress(Protocol):
    """Where bars and lines go."""

    def bar(self, what: str, total: int) -> AbstractContextManager[Bar]:
        """A bar for `total` steps of `what`; it is gone when the context ends."""

    def say(self, line: str) -> None:
        """A line that stays."""


class _QuietBar:
    def advance(self, steps: int = 1) -> None:
        """Nothing to draw."""

    def note(self, text: str) -> None:
        """Nothing to draw."""


class Quiet:
    """Progress that shows nothing."""

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:  # noqa: ARG002 (the protocol's names)
        """A bar that draws nothing."""
        yield _QuietBar()

    def say(self, line: str) -> None:
        """Say nothing."""


class Notes(Quiet):
    """Progress that shows nothing and keeps the lines that stay, for a result in JSON.

    Attributes:
        lines: what was said, the first line first.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)


class SaidOnce:
    """Progress that says a line once, however often it is told: the runs of a study all read the same folders."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._said = progress, set[str]()

    def bar(self, what: str, total: int) -> AbstractContextManager[Bar]:
        """A bar as ever."""
        return self._progress.bar(what, total)

    def say(self, line: str) -> None:
        """Say the line, unless it has been said."""
        if line not in self._said:
            self._said.add(line)
            self._progress.say(line)


QUIET: Progress = Quiet()

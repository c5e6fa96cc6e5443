"""What long work reports while it runs. The command line draws bars; a library call is quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of work that advances."""

    def advance(self, steps: int = 1) -> None:
        """`steps` more of the total are done; 0 says that the work goes on."""

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


class Stoppable:
    """Progress at which work can be stopped: its bars check for that when they open and whenever they advance.

    Work keeps what it has done before it advances its bar, so that nothing is lost.

    Args:
        progress: shows the bars and lines.
        check: raises if the work is to stop.

    >>> def stop() -> None:
    ...     raise KeyboardInterrupt
    >>> try:
    ...     with Stoppable(QUIET, stop).bar("work", 2):
    ...         print("never reached")
    ... except KeyboardInterrupt:
    ...     print("stopped")
    stopped
    """

    def __init__(self, progress: Progress, check: Callable[[], None]) -> None:
        self._progress, self._check = progress, check

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        """A bar as ever, unless the work is to stop."""
        self._check()
        with self._progress.bar(what, total) as bar:
            yield _StoppableBar(bar, self._check)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._progress.say(line)


class _StoppableBar:
    def __init__(self, bar: Bar, check: Callable[[], None]) -> None:
        self._bar, self._check = bar, check

    def advance(self, steps: int = 1) -> None:
        """Advance the bar; then raise if the work is to stop."""
        self._bar.advance(steps)
        self._check()

    def note(self, text: str) -> None:
        """Show a short text next to the bar."""
        self._bar.note(text)


QUIET: Progress = Quiet()

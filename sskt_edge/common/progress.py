"""Progress reports of long work. The command line draws bars; a library call is quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One piece of work that advances."""

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more of the total as done; 0 only reports that the work continues."""

    def note(self, text: str) -> None:
        """Show a short text next to the bar (a loss, an accuracy)."""


class Progress(Protocol):
    """Shows bars and lines."""

    def bar(self, what: str, total: int) -> AbstractContextManager[Bar]:
        """A bar for `total` steps of `what`; it disappears when the context ends."""

    def say(self, line: str) -> None:
        """Show a line that stays on the screen."""


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
        """Show nothing."""


class Notes(Quiet):
    """Progress that shows nothing and collects the lines, for a result in JSON.

    Attributes:
        lines: the lines in their order.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)


class SaidOnce:
    """Progress that shows each line only once: the runs of a study all read the same folders."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._said = progress, set[str]()

    def bar(self, what: str, total: int) -> AbstractContextManager[Bar]:
        """An ordinary bar."""
        return self._progress.bar(what, total)

    def say(self, line: str) -> None:
        """Show the line, unless it was shown before."""
        if line not in self._said:
            self._said.add(line)
            self._progress.say(line)


class Stoppable:
    """Progress that can stop the work: its bars check for that when they open and whenever they advance.

    Work saves what it has done before it advances its bar, so that nothing is lost.

    Args:
        progress: shows the bars and lines.
        check: raises if the work should stop.

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
        """An ordinary bar, unless the work should stop."""
        self._check()
        with self._progress.bar(what, total) as bar:
            yield _StoppableBar(bar, self._check)

    def say(self, line: str) -> None:
        """Show a line that stays on the screen."""
        self._progress.say(line)


class _StoppableBar:
    def __init__(self, bar: Bar, check: Callable[[], None]) -> None:
        self._bar, self._check = bar, check

    def advance(self, steps: int = 1) -> None:
        """Advance the bar; then raise if the work should stop."""
        self._bar.advance(steps)
        self._check()

    def note(self, text: str) -> None:
        """Show a short text next to the bar."""
        self._bar.note(text)


QUIET: Progress = Quiet()

"""The output of the verbs: progress on stderr, results on stdout; with --json, one object on stdout and no bars."""

from __future__ import annotations

import codecs
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sskt_edge.cli.streams import encodable
from sskt_edge.common.json import as_json
from sskt_edge.common.printable import printable_lines
from sskt_edge.common.text import short_time

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

    from sskt_edge.cli.console import Console
    from sskt_edge.common.progress import Bar

_SECONDS_A_LINE = 30

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override any value of the recipe; repeatable."),
]


def given(**options: object) -> list[str]:
    """The given options as words of the suggested next command; an option with a list is repeated.

    >>> given(precision="fp32", backend=None, trust_engines=True, set=["a=1", "b=2"])
    ['--precision', 'fp32', '--trust-engines', '--set', 'a=1', '--set', 'b=2']
    """
    words: list[str] = []
    for name, values in options.items():
        for value in values if isinstance(values, list) else [values]:
            if value:
                words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def recipe_word(recipe: str) -> str | Path:
    """A recipe's name or file as it was given, for the suggested next command."""
    return Path(recipe) if recipe.startswith("-") else recipe


class _Bar:
    def __init__(self, bars: RichBars, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task, steps)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _Lines:
    """A bar for a log: it prints a line now and then, with the time left at the pace since the previous line."""

    def __init__(self, say: Callable[[str], None], what: str, total: int) -> None:
        self._say, self._what, self._total = say, what, total
        self._done, self._note = 0, ""
        self._before: tuple[float, int] | None = (
            None  # time, steps done; the first advance may count steps of an earlier start
        )

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if self._before is None:
            self._before = now, self._done
        elif now - self._before[0] >= _SECONDS_A_LINE and self._done > self._before[1]:
            left = (self._total - self._done) * (now - self._before[0]) / (self._done - self._before[1])
            self._say(
                f"{self._what}: {self._done:,} of {self._total:,}, {short_time(left)} left  {self._note}".rstrip()
            )
            self._before = now, self._done

    def note(self, text: str) -> None:
        self._note = text


class Bars:
    """Progress as bars on stderr or, without a terminal, as a line every half minute."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from sskt_edge.cli.console import Console

        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="cyan", markup=False),
            console=self._console,
            transient=True,
        )
        self._open = 0

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        """A bar for `total` steps of `what`."""
        if not self._console.is_terminal:
            yield _Lines(self.say, what, total)
            return
        task = self._bars.add_task(what, total=total, note="")
        self._open += 1
        self._bars.start()
        try:
            yield _Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)
            self._open -= 1
            if self._open == 0:
                self._bars.stop()

    def say(self, line: str) -> None:
        """Print a line that stays on the screen."""
        self._bars.console.print(line, style="dim")


def show(title: str, rows: Mapping[str, str], next_commands: list[str]) -> None:
    """Print a result: its title, names and values in two columns, and the next commands, ready to be copied."""
    from sskt_edge.cli.console import Console

    console = Console()
    console.print(f"\n{title}", style="bold green")
    show_pairs(console, rows)
    for number, command in enumerate(next_commands):
        console.print(f"{'     ' if number else 'next:'} {command}")


def show_pairs(console: Console, rows: Mapping[str, str], styles: Sequence[str] = ()) -> None:
    """Print names and their values in two columns; `styles` has one style per row, or is empty."""
    from sskt_edge.cli.table import Column, Table

    columns = [Column(style="bold"), Column(folds=True)]
    Table(console, columns, list(rows.items()), gap=4, indent=2, styles=styles).show()


def show_error(message: str, word: str = "error") -> None:
    """Print a message to stderr."""
    from sskt_edge.cli.console import Console

    Console(stderr=True).print(f"{word}: {message}", style="red")


def show_text(text: str) -> None:
    """Print the text of a file.

    On a terminal, control characters are escaped. Where stdout is not UTF-8, the text is printed as ASCII, which is
    valid UTF-8, so that output redirected to a file can be read again.
    """
    stdout_is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    text = printable_lines(text) if sys.stdout.isatty() else text
    print(text if stdout_is_utf8 else encodable(text, "ascii"), end="")


def show_json(value: Any, indent: int | None = 2) -> None:
    """Print a value as one JSON object to stdout, converted by `as_json`."""
    print(json.dumps(as_json(value), indent=indent, allow_nan=False))

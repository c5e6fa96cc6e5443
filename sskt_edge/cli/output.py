"""What a person sees: bars and lines on stderr, results on stdout; with --json, one object on stdout and no bars."""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

    from sskt_edge.runtime.progress import Bar

_SECONDS_A_LINE = 30

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Lay a value over the recipe's, any key; repeatable."),
]


def same_recipe(recipe: str, set_: list[str] | None) -> str:
    """The recipe with its --set, as words of a shell, for the command that comes next."""
    return shlex.join([recipe, *(word for change in set_ or () for word in ("--set", change))])


class _Bar:
    def __init__(self, bars: RichBars, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task, steps)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _Lines:
    """A bar for a log: now and then a line, with the time left at the pace since the line before."""

    def __init__(self, say: Callable[[str], None], what: str, total: int) -> None:
        self._say, self._what, self._total = say, what, total
        self._done, self._note = 0, ""
        self._before: tuple[float, int] | None = None  # time, steps done; the first may be those of an earlier start

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
    """Progress as bars on stderr. Without a terminal, as a line every half a minute."""

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

        self._console = Console(stderr=True, soft_wrap=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="cyan"),
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
        """A line that stays."""
        self._bars.console.print(line, markup=False, highlight=False, style="dim")


def quoted(path: Path) -> str:
    """A path as a word of a shell, for a command that is there to be copied."""
    return shlex.quote(str(path))


def show(title: str, rows: Mapping[str, str], next_commands: list[str]) -> None:
    """A result: its title, names and values in two columns, and what to run next."""
    from rich.table import Table

    from sskt_edge.cli.console import Console

    console = Console(soft_wrap=True)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(f"\n{title}", markup=False, highlight=False, style="bold green")
    console.print(table, highlight=False, markup=False)
    for number, command in enumerate(next_commands):
        lead = "next:" if number == 0 else "     "
        console.print(f"{lead} {command}", markup=False, highlight=False)


def show_json(value: Any) -> None:
    """One JSON object on stdout; JSON has no infinity, so a number that is not finite becomes null."""
    print(json.dumps(_finite(value), indent=2, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def short_time(seconds: float) -> str:
    """3.2 → "3.2 s", 135 → "2 min 15 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def short_count(count: float) -> str:
    """272474 → "0.27 M", 41000000 → "41.0 M", 900 → "900"."""
    for limit, unit in ((1e9, "G"), (1e5, "M")):
        if count >= limit:
            scaled = count / (1e9 if unit == "G" else 1e6)
            return f"{scaled:.2f} {unit}" if scaled < 10 else f"{scaled:.1f} {unit}"
    return f"{count:,.0f}"


def short_bytes(count: float) -> str:
    """16400000 → "16.4 MB", 2000 → "2 kB"."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"

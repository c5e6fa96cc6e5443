from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sskt_edge.common.progress import QUIET, Bar, Notes, SaidOnce, Stoppable
from sskt_edge.images.listing import list_classes, load
from tests.bundle.tiny import SIDE


class Count:
    """Progress that counts what its bars advance."""

    def __init__(self) -> None:
        self.total: dict[str, int] = {}
        self.done = 0

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        self.total[what] = total
        yield self

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def note(self, text: str) -> None: ...

    def say(self, line: str) -> None: ...


def test_a_bar_reaches_its_total(images_path: Path) -> None:
    count = Count()
    load(list_classes(images_path), [SIDE], progress=count)
    assert count.total == {"images": 12} and count.done == 12


def test_a_line_is_said_once() -> None:
    kept = Notes()
    once = SaidOnce(kept)
    for line in ("a folder is not used", "seed 0: 70%", "a folder is not used", "seed 1: 70%"):
        once.say(line)
    with once.bar("images", 3) as bar:
        bar.advance()

    assert kept.lines == ["a folder is not used", "seed 0: 70%", "seed 1: 70%"]


def test_a_bar_that_opens_or_advances_stops_and_its_step_counts() -> None:
    count, asked_to_stop = Count(), False

    def check() -> None:
        if asked_to_stop:
            raise KeyboardInterrupt

    progress = Stoppable(count, check)
    with pytest.raises(KeyboardInterrupt), progress.bar("work", 3) as bar:
        bar.advance(2)
        bar.note("a stop is asked for now")
        asked_to_stop = True
        bar.advance()
    with pytest.raises(KeyboardInterrupt), progress.bar("more work", 1):
        raise AssertionError("it was opened")

    assert (count.total, count.done) == ({"work": 3}, 3)


def test_a_library_call_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    QUIET.say("a line")
    with QUIET.bar("work", 2) as bar:
        bar.advance()
        bar.note("half")
    assert capfd.readouterr() == ("", "")

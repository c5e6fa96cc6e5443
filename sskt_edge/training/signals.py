"""SIGINT and SIGTERM ask a training to save and stop; a second SIGINT stops it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sskt_edge.common.errors import Interrupted


class StopRequested(BaseException):
    """A signal came. This is raised where it is safe to save; as a BaseException it passes handlers of Exception."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class StopSignal:
    """Remembers a signal until the loop checks for it."""

    def __init__(self) -> None:
        self._signum: int | None = None

    def raise_if_set(self) -> None:
        """Raise StopRequested if a signal came."""
        if self._signum is not None:
            raise StopRequested(self._signum)

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Catch SIGINT and SIGTERM inside the context, then restore the handlers. It works in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self._signum is not None and signum == signal.SIGINT:
            raise Interrupted("Stopped at once; what was saved before is intact.", signum)
        self._signum = signum

"""TensorRT's logger: a process has only one, and it is the only place that says why a call failed."""

from __future__ import annotations

from collections import deque
from functools import cache
from types import ModuleType
from typing import Any

_KEPT = 3


@cache
def logger_of(trt: ModuleType) -> Any:
    """The logger of this process for the library `trt`: an ILogger that keeps the last errors in `lines`."""
    bad = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class LastErrors(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lines: deque[str] = deque(maxlen=_KEPT)

        def log(self, severity: Any, msg: str) -> None:
            # This is called from C++: an exception here would end the process.
            if severity in bad:
                self.lines.append(" ".join(msg.split()))

    return LastErrors()

"""Prepare stdout and stderr so that no encoding and no closed pipe ever ends a verb."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from pathlib import Path
from typing import TextIO, cast

from sskt_edge.common.errors import StorageError
from sskt_edge.common.printable import UNPRINTABLE, escape

READABLE = "sskt_edge.readable"
"""The codecs error handler that puts readable text in place of a character that an encoding lacks."""

_ASCII = {
    "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "·": ".", "±": "+-", "°": "deg ", "²": "^2", "³": "^3",
    "Δ": "d", "α": "alpha", "Σ": "sum", "μ": "u", "µ": "u", "≤": "<=", "≥": ">=", "→": "->", "‖": "||",
    "⌈": "ceil(", "⌉": ")", "ᵀ": "^T", "─": "-", "━": "-", "╸": "-", "╺": "-", "│": "|", "├": "+", "└": "+",
    "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\ufffd": "?",
}  # fmt: skip


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(character: str) -> str:
    """The ASCII text for a character; for one not in the table, its code point, which differs from an escaped byte."""
    if character in _ASCII:
        return _ASCII[character]
    if UNPRINTABLE.match(character):
        return UNPRINTABLE.sub(escape, character)
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


codecs.register_error(READABLE, _readable)


def encodable(text: str, encoding: str) -> str:
    """The text as a stream of this encoding shows it."""
    return text.encode(encoding, READABLE).decode(encoding, "replace")


class _Descriptor(io.FileIO):
    """A file descriptor whose writes never raise: after the first failure, the rest is dropped.

    Attributes:
        failure: why a write failed; None if the reader closed the pipe, which is not an error.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.failure: OSError | None = None
        self._dropped = False

    def write(self, content: object, /) -> int:
        """Write or drop the content; return the number of bytes handled."""
        if not self._dropped:
            try:
                return super().write(content)  # type: ignore[arg-type]
            except OSError as error:
                self._dropped = True
                # Windows reports EINVAL for a pipe without a reader.
                if error.errno != errno.EPIPE and not (os.name == "nt" and error.errno == errno.EINVAL):
                    self.failure = error
        return memoryview(content).nbytes  # type: ignore[arg-type]


_descriptors: dict[str, _Descriptor] = {}


def prepare() -> None:
    """Make stdout and stderr ready, before anything is printed."""
    _descriptors.clear()
    for name in ("stdout", "stderr"):
        setattr(sys, name, _prepared(name, getattr(sys, name)))


def _prepared(name: str, stream: TextIO | None) -> TextIO:
    if stream is None:  # the parent process closed it
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if type(raw) is not io.FileIO:  # a Windows console, which accepts any character
        stream.reconfigure(errors=READABLE)
        return stream
    stream.flush()
    descriptor = _descriptors[name] = _Descriptor(raw.fileno())
    buffer = descriptor if stream.write_through else io.BufferedWriter(descriptor)
    return io.TextIOWrapper(
        cast(io.BufferedWriter, buffer),
        encoding=stream.encoding,
        errors=READABLE,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def finish() -> StorageError | None:
    """Flush both streams; return an error if a write to stdout failed, unless its reader closed the pipe."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    failure = _descriptors["stdout"].failure if "stdout" in _descriptors else None
    if failure is None:
        return None
    from sskt_edge.common.files import is_full  # nothing else needs it this early

    why = "no space is left on the disk" if is_full(failure) else (failure.strerror or str(failure))
    return StorageError(f"Could not write the result to stdout: {why}. Redirect it to another file.")

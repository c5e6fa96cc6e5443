r"""Make untrusted names safe to print: characters that a terminal would interpret are replaced by their escapes.

These are control characters, surrogates (one for each byte of a file's name that is not UTF-8) and the characters that
embed, override or isolate the direction of text, which can make one text look like another (UAX #9, UTS #55). Joiners,
direction marks and spaces are kept: Persian, emoji and many names need them.
"""

from __future__ import annotations

import os
import re

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Matches one character that a name must not contain, and that is never printed unescaped."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE_IN_LINES = re.compile(f"(?![\n\t]){UNPRINTABLE.pattern}")


def printable(text: str | os.PathLike[str]) -> str:
    r"""One line of text, or a path, with escapes for unprintable characters: \x1b, \u202e; \xe9 for the byte E9.

    >>> print(printable("caf\udce9\n"))
    caf\xe9\x0a
    """
    return UNPRINTABLE.sub(escape, os.fspath(text))


def printable_lines(text: str) -> str:
    """The same for several lines of text; line ends and tabs are kept."""
    return _UNPRINTABLE_IN_LINES.sub(escape, text)


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can encode every character; it cannot encode a surrogate."""
    return _SURROGATE.search(text) is None


def as_utf8(text: str) -> str:
    """The text with escapes for the characters that UTF-8 cannot encode."""
    return _SURROGATE.sub(escape, text)


def escape(found: re.Match[str]) -> str:
    """The escape for one unprintable character."""
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # how Python decodes the byte number - 0xDC00 of a file's name
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"

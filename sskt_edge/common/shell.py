"""Commands that a user can copy: every word is quoted as the shell of this system reads it."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from sskt_edge.common.printable import UNPRINTABLE, escape

PLACEHOLDERS = frozenset({"FOLDER", "IMAGE…", "RECIPE", "RUN"})
"""Placeholders that the user replaces with a name."""

_PLAIN = re.compile(r"[\w.:=,+\\/-]+")


def command(*words: str | Path) -> str:
    """`sskt-edge` with these words.

    >>> command("export", Path("my runs/a"), "--set", "name=b")
    "sskt-edge export 'my runs/a' --set name=b"
    """
    return " ".join(["sskt-edge", *map(quoted, words)])


def quoted(word: str | Path) -> str:
    """Quote a word, or a path, which is never taken for an option.

    cmd and PowerShell both accept double quotes. Elsewhere a word with unprintable characters is written as $'…', which
    bash, zsh and ksh understand, so that the printed word still names the same file.
    """
    text = str(word)
    if isinstance(word, Path) and text.startswith("-"):
        text = f"{os.curdir}{os.sep}{text}"
    if text in PLACEHOLDERS:
        return text
    if os.name == "nt":
        import subprocess  # takes 10 ms, which other systems can save

        listed = subprocess.list2cmdline([text])
        return listed if listed != text or _PLAIN.fullmatch(text) else f'"{text}"'
    if UNPRINTABLE.search(text):
        inner = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"$'{UNPRINTABLE.sub(escape, inner)}'"
    return shlex.quote(text)

"""Pages, taken apart: their code blocks, the commands in them, and what stands between backticks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from sskt_edge.cli.main import app

KIT = Path(__file__).resolve().parent.parent.parent / "export"
PAGES = sorted(KIT.rglob("*.md"))
DOCKERFILES = sorted(KIT.rglob("*.Dockerfile"))
_INDENTED = re.compile(r"^ {4,}\S")
_SEPARATORS = {"&&", "||", ";", "|", ">", "2>/dev/null"}


def name_of(path: Path) -> str:
    return path.relative_to(KIT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    """The indented code blocks, without what all lines of one are indented by."""
    found: list[list[str]] = []
    lines = text_of(page).splitlines()
    inside = False
    for number, line in enumerate(lines):
        following = next((later for later in lines[number:] if later.strip()), "")
        if _INDENTED.match(line) or (inside and not line.strip() and _INDENTED.match(following)):
            if not inside:
                found.append([])
            found[-1].append(line)
            inside = True
        else:
            inside = False
    cut = [min(len(line) - len(line.lstrip()) for line in block if line.strip()) for block in found]
    return ["\n".join(line[by:] for line in block) + "\n" for by, block in zip(cut, found, strict=True)]


def is_python(block: str) -> bool:
    return block.startswith(("import ", "from "))


def is_shell(block: str) -> bool:
    return not is_python(block) and not block.startswith("models/\n")


def spans(page: Path) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text_of(page))


def shell_lines(page: Path) -> list[str]:
    """The lines of the shell blocks, those that go on with a backslash joined; and what else may be a command.

    That is what stands between backticks, has a blank, and is not a message: those have a gap.
    """
    joined = [block.replace("\\\n", " ") for block in blocks(page) if is_shell(block)]
    lines = [line for block in joined for line in block.splitlines()]
    return [*lines, *(span for span in spans(page) if " " in span and "…" not in span)]


def runs_of(page: Path, program: str) -> list[list[str]]:
    """The arguments of every run of a program in a page; of sskt-edge, what a container of that name is given too."""
    found: list[list[str]] = []
    for line in shell_lines(page):
        words = shlex.split(line, comments=True) if program in line else []
        for number, word in enumerate(words):
            rest = words[number + 1 :]
            in_container = words[:2] == ["docker", "run"] and word.startswith(f"{program}:") and bool(rest)
            if word == program or in_container:
                end = next((at for at, other in enumerate(rest) if other in _SEPARATORS), len(rest))
                found.append(rest[:end])
    return found


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """The cells of the rows of the table whose first column is called `heading`."""
    rows = [line.strip("| ").split(" | ") for line in text_of(page).splitlines() if line.startswith("|")]
    starts = [number for number, row in enumerate(rows) if row[0].startswith(heading)]
    if not starts:
        return []
    found: list[list[str]] = []
    for row in rows[starts[0] + 2 :]:
        if set(row[0]) <= set("-|"):
            found.pop()  # it was the head of the next table
            break
        found.append([cell.strip("| ") for cell in row])
    return found


def verb_of(words: list[str]) -> tuple[Any, str, list[str]]:
    """The command of the typer app that the words call, its name, and what is left of them."""
    command, rest = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    return command, " ".join(words[: len(words) - len(rest)]), rest


def every_option() -> set[str]:
    """The options of all verbs, those of groups such as `labels` among them."""
    found, left = set(), [typer.main.get_command(app)]
    while left:
        command: Any = left.pop()
        left += getattr(command, "commands", {}).values()
        found |= {option for one in command.params for option in one.opts}
    return found

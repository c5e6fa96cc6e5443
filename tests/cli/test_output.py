"""What a person sees in a terminal, and what a program reads."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.cli import output
from sskt_edge.cli.precision_table import Row, show_precisions
from sskt_edge.targets.run_folder import TrainedNetwork
from tests.training.small import text


def test_a_log_gets_a_line_now_and_then_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 31.0, 40.0, 70.0])
    monkeypatch.setattr("sskt_edge.cli.output.time.monotonic", lambda: next(clock))
    with output.Bars().bar("train", 1200) as bar:
        bar.advance(1000)  # of an earlier start
        for _ in range(2):
            bar.advance(31)
        bar.note("loss 1.2")
        for _ in range(2):
            bar.advance(13)
    assert capsys.readouterr().err.splitlines() == [
        "train: 1,062 of 1,200, 1 min 9 s left",
        "train: 1,088 of 1,200, 2 min 48 s left  loss 1.2",
    ]


@pytest.mark.slow
def test_a_terminal_gets_bars_that_go_away_and_results_that_stay(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(text(tiny_run.folder.path))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sskt_edge.cli.main", "train", "small.toml"],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end was closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    result, _ = process.communicate()
    assert process.returncode == 0
    for bar in (b"query teacher", b"train", b"torch, fp32", b" 1/3 ", b" 3/3 "):
        assert bar in shown
    assert b"\x1b[2K" in shown  # lines that are cleared again
    assert "\x1b" not in result
    assert "test accuracy" in result and "95 % interval" in result


def test_json_is_json_where_a_number_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json({"kl": float("inf"), "more": [(1.5, float("nan"))]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"kl": None, "more": [[1.5, None]]}


def test_what_a_terminal_would_obey_is_shown_by_its_escape(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]52;c;eA==\x07\x1b[2J\x9b1A\r\u202ecat"
    output.show(evil, {evil: evil}, [evil])
    output.Bars().say(evil)
    show_precisions(f"[/x] {evil}", [Row("fp32", evil, 1, 1, 1.0, (1.0, 1.0), 1.0, 0, 0.0, 1.0, "NO")], "single_label")
    said = "".join(capsys.readouterr())
    assert said.count(r"\x1b]52;c;eA==\x07\x1b[2J\x9b1A\x0d\u202ecat") == 7 and "[/x]" in said
    assert not set(said) & set("\x1b\x07\x9b\r\u202e")


def test_joiners_marks_and_codes_of_emoji_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    names = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f52c \u200eabc\u200f :rose: [bold]x"
    output.show(names, {names: names}, [names])
    output.Bars().say(names)
    assert "".join(capsys.readouterr()).count(names) == 5


def test_a_bar_shows_a_name_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for key, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(key, value)
    with output.Bars().bar("ask [bold]x :rose:", 2):
        pass
    assert "ask [bold]x :rose:" in capsys.readouterr().err


def test_json_is_unicode_whatever_a_file_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json({"caf\udce9": Path("caf\udce9"), "more": ["\ud800", 7, True, None, "caf\xe9"]})
    said = json.loads(capsys.readouterr().out)
    assert said == {"caf\\xe9": "caf\\xe9", "more": ["\\ud800", 7, True, None, "caf\xe9"]}


def test_the_options_that_were_given_are_given_again() -> None:
    told = output.given(precision=None, threads=0, trust_engines=True, arm=["a: b=1", "c: d=2"], runs=Path("my runs"))
    assert told == ["--trust-engines", "--arm", "a: b=1", "--arm", "c: d=2", "--runs", "my runs"]

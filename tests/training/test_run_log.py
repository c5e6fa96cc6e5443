"""What a run writes while it goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sskt_edge.common.progress import QUIET, Notes
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.run_log import RunLog, note_result


def test_a_resumed_run_repeats_no_line(tmp_path: Path) -> None:
    """Three epochs were logged, the last checkpoint is that after two: the third is done, and logged, again."""
    folder = RunFolder(tmp_path)
    log = RunLog(folder, QUIET, 0)
    for epoch in (1, 2, 3):
        log.metrics({"epoch": epoch, "loss": float(epoch)})
    log.close()
    log = RunLog(folder, QUIET, 2)
    log.metrics({"epoch": 3, "loss": 30.0})
    log.close()
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert [(line["epoch"], line["loss"]) for line in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_a_damaged_line_of_figures_does_not_stop_a_resumed_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics.write_bytes(b'{"epoch": 1, "loss": \xff}\n{"epoch": 2}\n')
    RunLog(folder, QUIET, 1).close()
    assert folder.metrics.read_bytes() == b'{"epoch": 1, "loss": \xff}\n'


def told(folder: RunFolder) -> list[str]:
    return [line[20:] for line in folder.log.read_text().splitlines()]


def test_the_log_of_a_resumed_run_repeats_no_line(tmp_path: Path) -> None:
    """As above; the run was finished too, but its result was lost."""
    folder = RunFolder(tmp_path)
    log = RunLog(folder, QUIET, 0)
    for line in ("run x", "epoch  loss"):
        log.say_once(line)
    for row in (" 1/3 a", " 2/3 b", " 3/3 c", "after epoch 3: learning rate 1 → 0.1"):
        log.epoch(row)
    log.close()
    note_result(folder, "test accuracy 50%")
    log = RunLog(folder, QUIET, 2)
    log.say_once("run x")
    log.say("continuing at epoch 3")
    for row in ("epoch  loss", " 3/3 d"):
        log.epoch(row)
    log.close()
    note_result(folder, "test accuracy 60%")
    before = ["run x", "epoch  loss", " 1/3 a", " 2/3 b"]
    assert told(folder) == [*before, "continuing at epoch 3", " 3/3 d", "result: test accuracy 60%"]


@pytest.mark.parametrize("shown", [True, False])
def test_a_study_keeps_the_lines_of_epochs_to_the_log(shown: bool, tmp_path: Path) -> None:
    heard = Notes()
    log = RunLog(RunFolder(tmp_path), heard, 0, show_epochs=shown)
    log.say("run x")
    log.epoch(" 1/3 a")
    log.close()
    assert heard.lines == ["run x", " 1/3 a"][: 1 + shown]
    assert told(RunFolder(tmp_path)) == ["run x", " 1/3 a"]


def test_the_log_has_a_time_for_every_line(tmp_path: Path) -> None:
    log = RunLog(RunFolder(tmp_path), QUIET, 0)
    log.say("so it begins")
    log.close()
    assert (tmp_path / "log.txt").read_text()[19:] == " so it begins\n"

"""What a run writes while it goes."""

from __future__ import annotations

import json
from pathlib import Path

from sskt_edge.runtime.progress import QUIET
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.run_log import RunLog


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


def test_the_log_has_a_time_for_every_line(tmp_path: Path) -> None:
    log = RunLog(RunFolder(tmp_path), QUIET, 0)
    log.say("so it begins")
    log.close()
    assert (tmp_path / "log.txt").read_text()[19:] == " so it begins\n"

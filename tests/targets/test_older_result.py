"""result.json as earlier versions wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sskt_edge.common.errors import RunError
from sskt_edge.targets.finished_run import read_finished
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.tasks.wilson import wilson_interval
from tests.older import RUNS, unpacked
from tests.sealed import as_sealed, changed, of_before


@pytest.mark.parametrize("name", RUNS)
def test_an_older_result_has_a_score_and_a_task(name: str, tmp_path: Path) -> None:
    folder = unpacked(name, tmp_path)
    older = json.loads((folder / "result.json").read_bytes())
    result = read_finished(folder).result
    images, top1 = older["test"]["images"], older["test"]["top1"]
    assert result.task == "single_label" and result.validation == older["validation_top1"]
    assert (result.test.metric, result.test.images, result.test.value) == ("accuracy", images, top1)
    assert result.test.interval == wilson_interval(top1, images)
    assert result.test.further == {"top5": older["test"]["top5"]}
    golden = read_finished(folder).golden()
    assert golden.labels.ndim == 1 and len(golden.test_labels) == images


def test_a_result_of_today_is_version_3(tiny_run: TrainedNetwork) -> None:
    plain = json.loads(tiny_run.folder.result.read_bytes())
    assert (plain["schema_version"], plain["task"], plain["test"]["metric"]) == (3, "single_label", "accuracy")
    assert not {"validation_top1", "top1"} & {*plain, *plain["test"]}


def test_a_newer_result_asks_for_an_upgrade(tmp_path: Path) -> None:
    folder = unpacked(RUNS[1], tmp_path)
    with changed(folder / "result.json") as plain:
        plain["schema_version"] = 4
    with pytest.raises(RunError, match="reads up to 3"):
        read_finished(folder)


def test_an_older_result_with_a_wrong_score_is_refused(tmp_path: Path) -> None:
    folder = unpacked(RUNS[1], tmp_path)
    with changed(folder / "result.json") as plain:
        plain["test"]["top1"] = 7
    with pytest.raises(RunError, match=r"test\."):
        read_finished(folder)


def test_a_result_of_today_without_its_hash_is_refused(tmp_path: Path) -> None:
    """Even where its version was taken for that of before: its keys are not those of version 1."""
    folder = unpacked(RUNS[1], tmp_path)
    of_before(folder / "result.json", schema_version=3)
    with pytest.raises(RunError, match="lost its own SHA-256"):
        read_finished(folder)


@pytest.mark.parametrize("content", [b"[]", b'"x"', b"3"])
def test_a_result_that_is_not_an_object_is_broken(content: bytes, tmp_path: Path) -> None:
    folder = unpacked(RUNS[0], tmp_path)
    (folder / "result.json").write_bytes(content)
    with pytest.raises(RunError, match="broken"):
        read_finished(folder)
    (folder / "result.json").write_bytes(as_sealed({"test": None}))
    with pytest.raises(RunError, match="broken"):
        read_finished(folder)

"""Times of networks for one image: measured once, and only where they were measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from sskt_edge.common.progress import QUIET
from sskt_edge.machine.conditions import conditions
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.study.latency import Latencies, latencies
from sskt_edge.targets.finished_run import NetworkCost
from sskt_edge.targets.records import read_record, write_record
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.tasks.score import Score
from sskt_edge.training.source_answers import SourceAnswers

COST, SCORE = NetworkCost(parameters=1, macs=1), Score(metric="accuracy", value=0.5, interval=(0.4, 0.6), images=10)


@pytest.mark.slow
def test_networks_are_measured_once_and_sources_together_take_the_sum(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    """A run is also a source here, at two sizes; so it is three networks in all."""
    model = f"run/{tiny_run.folder.path.as_posix()}"
    parts = [SourceOptions(name=name, model=model) for name in "ab"]
    sizes = {"a": 16, "b": 24}
    shown = tuple((part, sizes[part.name]) for part in parts)
    answers = [SourceAnswers(part.name, SCORE, COST, ((part, side),)) for part, side in shown]
    answers.append(SourceAnswers("a + b", SCORE, COST, shown))
    runs, kept = {"scratch": tiny_run, "sskt": tiny_run}, tmp_path / "latency.json"

    found = latencies(runs, answers, kept, QUIET)

    assert found["scratch"] == found["sskt"]
    assert found["a + b"] == found["a"] + found["b"]
    assert min(found.values()) > 0
    written = read_record(kept, Latencies, "")
    assert set(written.ms) == {f"{tiny_run.recipe.target.model}@{tiny_run.shape[0]}", f"{model}@16", f"{model}@24"}
    assert latencies(runs, answers, kept, QUIET) == found


def test_times_of_another_machine_are_not_taken(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    kept = tmp_path / "latency.json"
    name = f"{tiny_run.recipe.target.model}@{tiny_run.shape[0]}"
    write_record(kept, Latencies(measured_on="another machine", ms={name: 1e9}))
    (ms,) = latencies({"scratch": tiny_run}, [], kept, QUIET).values()
    assert ms < 1e6
    processor = conditions().processor.name
    assert processor is not None and processor in read_record(kept, Latencies, "").measured_on


def test_a_broken_file_is_replaced(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    kept = tmp_path / "latency.json"
    kept.write_text("{")
    assert latencies({"scratch": tiny_run}, [], kept, QUIET)["scratch"] > 0
    assert read_record(kept, Latencies, "").ms

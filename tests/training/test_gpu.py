"""The same training on a CUDA device, where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import sskt_edge
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.training.train import train
from tests.training.small import recipe, stop_within_epoch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_cuda_trains_and_the_bundle_holds(precision: str, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    told = ("train.device=cuda", f"train.precision={precision}", "train.epochs=4")
    run = train(recipe(tiny_run.folder.path, *told), tmp_path / "runs")
    losses = [json.loads(line)["loss"] for line in run.folder.metrics.read_text().splitlines()]
    assert losses[-1] < losses[0]
    bundle = sskt_edge.export(run, tmp_path / "bundle")
    assert bundle.manifest.failures == []


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_stopped_run_on_cuda_goes_on_to_the_same_weights(
    precision: str, tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = recipe(tiny_run.folder.path, "train.device=cuda", f"train.precision={precision}", "train.epochs=4")
    whole = train(small, tmp_path / "whole")
    folder = stop_within_epoch(2, small, tmp_path / "stopped", monkeypatch)
    assert train(small, resume=folder).folder.primary.read_bytes() == whole.folder.primary.read_bytes()

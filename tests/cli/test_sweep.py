"""sweep as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sskt_edge.targets.run_folder import TrainedNetwork
from tests.cli.run import Verb, sskt_edge
from tests.training.small import text

TOLD = ("--set", "train.epochs=1", "--set", "labels.views=1", "--space", "method.alpha=0.5,1")


@pytest.mark.slow
def test_a_sweep_ends_with_a_recipe_to_compare_and_is_there_again(
    tiny_run: TrainedNetwork, verb: Verb, tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text(text(tiny_run.folder.path))
    done = sskt_edge("sweep", "r.toml", *TOLD, "--studies", "my studies", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the sweep uses data.validation = rest" in done.stderr
    assert "no test image was read" in done.stdout
    (best,) = tmp_path.glob("my studies/*/sweep-*/best.toml")
    again = f"sskt-edge compare '{best.relative_to(tmp_path)}' --seeds 5 --studies 'my studies'"
    assert f"next: {again}" in done.stdout
    assert not list(tmp_path.rglob("result.json"))
    code, said, errors = verb("sweep", "r.toml", *TOLD, "--studies", "my studies", "--json")
    assert (code, errors) == (0, "")
    assert len(json.loads(said)["trials"]) == 2

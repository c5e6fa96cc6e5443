"""compare as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sskt_edge.targets.run_folder import TrainedNetwork
from tests.cli.run import Verb, sskt_edge
from tests.training.small import text

TOLD = ("--set", "train.epochs=1", "--set", "labels.views=1")


@pytest.fixture(scope="module")
def place(tiny_run: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, where compare ran once."""
    cwd = tmp_path_factory.mktemp("user")
    (cwd / "r.toml").write_text(text(tiny_run.folder.path))
    done = sskt_edge("compare", "r.toml", "--seeds", "1", *TOLD, cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "against scratch" in done.stdout
    assert "indicative: " in done.stdout
    assert "1 pair is too few to show a difference; at least 5 seeds are needed." in done.stdout
    next_command = "sskt-edge compare r.toml --set train.epochs=1 --set labels.views=1 --seeds 5"
    assert f"next: {next_command}" in done.stdout
    return cwd


@pytest.fixture
def here(place: Path) -> Verb:
    """Runs verbs in that folder."""
    return Verb(place)


@pytest.mark.slow
def test_more_arms_are_added_to_what_is_there_and_a_wild_one_ends_with_1(place: Path, here: Verb) -> None:
    (study,) = (place / "studies").iterdir()
    before = {path.name for path in (study / "runs").glob("small-*")}
    words = ("--method", "scratch", "--method", "finetuned", "--arm", "wild: train.optimizer.lr=1e30", *TOLD)
    code, said, errors = here("compare", "r.toml", "--seeds", "1", *words, "--json")
    assert (code, errors) == (1, "")
    found = json.loads(said)
    assert [arm["n"] for arm in found["arms"]] == [1, 0, 0]
    assert {run["run"] for run in found["arms"][0]["runs"]} < before
    assert any("wild, seed 0, is missing: The loss is not a finite number" in line for line in found["missing"])
    assert any("finetuned is left out: 'resnet20' has no published weights" in line for line in found["missing"])


@pytest.mark.slow
def test_an_arm_with_nothing_to_compare_it_with_is_still_shown(here: Verb) -> None:
    code, said, _ = here("compare", "r.toml", "--seeds", "1", "--method", "scratch", *TOLD)
    assert code == 0
    assert "There is only one arm, so nothing is compared. Add arms with --method or --arm." in said
    assert "next:" not in said

    words = ("--method", "scratch", "--arm", "wild: train.optimizer.lr=1e30", *TOLD)
    code, said, _ = here("compare", "r.toml", "--seeds", "1", *words)
    assert code == 1
    assert "wild, seed 0, is missing: The loss is not a finite number" in said


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "package"), [("compare", "scipy"), ("sweep", "optuna")])
def test_without_the_extra_it_says_how_to_get_it(verb: str, package: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None; sys.argv = ['sskt-edge', '{verb}', 'quickstart']\n"
        "from sskt_edge.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"This command needs {package}" in done.stderr
    assert "pip install 'sskt-edge[study]'" in done.stderr


@pytest.mark.parametrize("name", ["compare", "sweep"])
def test_a_seed_that_would_be_ignored_is_refused(name: str, verb: Verb) -> None:
    code, _, errors = verb(name, "quickstart", "--set", "train.seed=3")
    assert code == 2
    assert "--set train.seed=3: a study sets the seeds itself" in errors

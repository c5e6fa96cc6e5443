"""Real sweeps of trainings that take less than a second each."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sskt_edge
from sskt_edge.common.errors import Interrupted, RecipeError, StudyError
from sskt_edge.recipe import load_recipe
from sskt_edge.study.draw_sweep import draw_sweep
from sskt_edge.study.space import parse_space
from sskt_edge.study.sweep import sweep
from sskt_edge.study.sweep_result import Sweep, Tried
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.targets.run_layout import find_runs
from tests.study.small import epochs_of, no_test_images, no_training, recipe, stop_at_step
from tests.training.small import text

SPACE = parse_space(["method.alpha=0.5,1"])
SHARE = "data.validation=0.1"


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def swept(tiny_run: TrainedNetwork, studies: Path) -> Sweep:
    """Two points, two seeds; a look at a test image would have failed."""
    with pytest.MonkeyPatch.context() as patch, no_test_images(patch):
        return sweep(recipe(tiny_run.folder.path, SHARE), SPACE, range(2), folder=studies)


def trials(found: Sweep) -> Path:
    return found.folder.parent / "trials"


def written(found: Sweep) -> list[bytes]:
    return [(found.folder / name).read_bytes() for name in ("sweep.json", "sweep.md", "best.toml")]


@pytest.mark.slow
def test_no_run_of_a_sweep_has_seen_the_test(swept: Sweep) -> None:
    runs = find_runs(trials(swept))
    assert len(runs) == 4
    for run in runs:
        assert not run.result.exists()
        assert not run.golden.exists()


def test_the_objective_is_the_mean_of_the_last_epochs_validation_accuracy(swept: Sweep) -> None:
    logged: dict[float, list[float]] = {0.5: [], 1.0: []}
    for run in find_runs(trials(swept)):
        last = json.loads(run.metrics.read_text().splitlines()[-1])
        logged[load_recipe(str(run.recipe)).method.model_dump()["alpha"]].append(last["validation_accuracy"])
    for one in swept.tried:
        values = logged[SPACE.values(one.point)["method.alpha"]]
        assert one.over_seeds is not None
        assert sorted(one.values.values()) == sorted(values)
        assert one.over_seeds.mean == pytest.approx(sum(values) / 2)
    means = [one.over_seeds.mean for one in swept.tried if one.over_seeds]
    assert means == sorted(means, reverse=True)
    assert swept.images == 145  # a tenth of each class


@pytest.mark.slow
def test_only_the_last_epoch_is_validated_where_it_alone_counts(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    for keep, validated in {"last": [2], "best": [1, 2]}.items():
        told = recipe(tiny_run.folder.path, SHARE, "train.epochs=2", f"train.keep={keep}")
        found = sweep(told, parse_space(["method.alpha=0.5"]), folder=tmp_path)
        lines = [json.loads(line) for run in find_runs(trials(found)) for line in run.metrics.read_text().splitlines()]
        assert [line["epoch"] for line in lines if "validation_accuracy" in line] == validated


@pytest.mark.slow
def test_the_best_recipe_loads_trains_and_says_how_it_was_chosen(swept: Sweep, tmp_path: Path) -> None:
    best = load_recipe(str(swept.folder / "best.toml"))
    assert swept.best is not None
    assert best.method.model_dump()["alpha"] == SPACE.values(swept.best.point)["method.alpha"]
    assert best == swept.recipe.model_copy(update={"method": best.method})
    text = (swept.folder / "best.toml").read_text()
    for part in ("145 validation images", "the mean over seeds [0, 1]", "2 points of 2", "sskt-edge compare"):
        assert part in text
    assert sskt_edge.train(best, tmp_path).result.kept_epoch == 1


def test_the_same_command_trains_nothing_and_says_the_same(
    swept: Sweep, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(swept)
    with no_training(monkeypatch):
        again = sweep(swept.recipe, SPACE, range(2), folder=studies)
    assert written(again) == before
    assert again == swept


@pytest.mark.slow
def test_tpe_takes_what_the_grid_has_found(swept: Sweep, studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its study is the same: only points that nobody tried would be trained, and the grid left none."""
    with no_training(monkeypatch):
        again = sweep(swept.recipe, SPACE, range(2), "tpe", trials=4, folder=studies)
    assert again.tried == swept.tried


def test_a_second_machine_shares_the_storage_alone(
    swept: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"sqlite:///{swept.folder / 'trials.db'}"
    with no_training(monkeypatch):
        elsewhere = sweep(swept.recipe, SPACE, range(2), storage=storage, folder=tmp_path)
    assert elsewhere.tried == swept.tried
    assert written(elsewhere)[0] != b""
    assert not trials(elsewhere).exists()


@pytest.mark.slow
def test_a_study_of_another_space_is_not_mixed_up(swept: Sweep, tmp_path: Path) -> None:
    told: dict[str, Any] = {"storage": f"sqlite:///{tmp_path / 'x.db'}", "study": "mine", "folder": tmp_path}
    with pytest.MonkeyPatch.context() as patch, no_training(patch), pytest.raises(AssertionError):
        sweep(swept.recipe, SPACE, range(1), **told)
    with pytest.raises(StudyError, match=r"'mine' in .* has another seeds and another space\. .*--study NAME"):
        sweep(swept.recipe, parse_space(["method.alpha=3,4"]), range(2), **told)


@pytest.mark.slow
def test_a_sweep_that_was_stopped_goes_on_and_trains_nothing_twice(
    swept: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps a training: the tenth is within the third, the second point's first."""
    with (
        stop_at_step(10, monkeypatch),
        pytest.raises(Interrupted, match=r"after 1 of 2 trials.*same command to continue"),
    ):
        sweep(swept.recipe, SPACE, range(2), folder=tmp_path)
    (place,) = tmp_path.iterdir()
    first = {run.path.name for run in find_runs(place / "trials")}
    assert len(first) == 3
    found = sweep(swept.recipe, SPACE, range(2), folder=tmp_path)
    runs = epochs_of(place / "trials")
    assert first < set(runs)
    assert len(runs) == 4
    assert all(epochs == [1] for epochs in runs.values())
    assert found.tried == swept.tried


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_at_once(swept: Sweep, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    """What it was trying is taken up without waiting for the storage to miss it, as its process is gone."""
    (tmp_path / "small.toml").write_text(text(tiny_run.folder.path))
    told = [f"--set={part}" for part in ("train.epochs=6", "labels.views=1", "train.device=cpu", SHARE)]
    command = [sys.executable, "-m", "sskt_edge.cli.main", "sweep", "small.toml", "--space=method.alpha=0.5,1", *told]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        time.sleep(0.05)
        if any(epochs.read_text() for epochs in tmp_path.glob("studies/*/trials/*/metrics.jsonl")):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    small = recipe(tiny_run.folder.path, SHARE, "train.epochs=6")
    found = sweep(small, SPACE, range(1), folder=tmp_path / "studies")
    assert [one.state for one in found.tried] == ["done", "done"]
    assert list(epochs_of(trials(found)).values()) == [list(range(1, 7))] * 2


@pytest.mark.slow
def test_a_point_that_diverges_is_listed_and_the_others_go_on(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    space = parse_space(["train.optimizer.lr=1e30,0.01"])
    found = sweep(recipe(tiny_run.folder.path, SHARE), space, folder=tmp_path)
    assert [(one.state, one.point) for one in found.tried] == [("done", (1,)), ("diverged", (0,))]
    assert "not a finite number" in found.as_markdown()
    assert load_recipe(str(found.folder / "best.toml")).train.optimizer.lr == 0.01
    with pytest.MonkeyPatch.context() as patch, no_training(patch):
        assert sweep(found.recipe, space, folder=tmp_path).tried == found.tried


@pytest.mark.slow
def test_what_the_budget_leaves_chooses_where_the_recipe_keeps_nothing(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    found = sweep(recipe(tiny_run.folder.path), parse_space(["method.alpha=1"]), folder=tmp_path)
    assert (found.validation, found.images) == ("rest", 1438 - 60)
    assert load_recipe(str(found.folder / "best.toml")).data.validation == 0


@pytest.mark.slow
@pytest.mark.parametrize("told", ["data.per_class=0", "data.unlabelled=rest"])
def test_where_nothing_is_left_over_a_share_chooses(told: str, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    small = recipe(tiny_run.folder.path, told, "train.batch_size=600")
    found = sweep(small, parse_space(["method.alpha=1"]), folder=tmp_path)
    assert found.validation == 0.2
    assert found.images == pytest.approx(0.2 * 1438, abs=10)
    assert load_recipe(str(found.folder / "best.toml")).data.validation == 0


@pytest.mark.slow
def test_unlabelled_images_can_be_swept(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    found = sweep(recipe(tiny_run.folder.path, SHARE), parse_space(['data.unlabelled="",rest']), folder=tmp_path)
    assert {one.point: one.state for one in found.tried} == {(0,): "done", (1,): "done"}


@pytest.mark.slow
@pytest.mark.parametrize("which", ["data_sha256", "unlabelled: rest"])
def test_images_that_changed_are_not_mixed_up(which: str, tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    """The same storage, and a machine whose data set is another."""
    import optuna

    small = recipe(tiny_run.folder.path, SHARE, "data.unlabelled=rest")
    storage = f"sqlite:///{tmp_path / 'x.db'}"
    told: dict[str, Any] = {"storage": storage, "study": "mine", "folder": tmp_path}
    with pytest.MonkeyPatch.context() as patch, no_training(patch), pytest.raises(AssertionError):
        sweep(small, SPACE, range(1), **told)
    study = optuna.load_study(study_name="mine", storage=storage)
    study.set_user_attr(which, "another")
    study._storage._backend.engine.dispose()  # type: ignore[attr-defined]
    with pytest.raises(StudyError, match=r"(training|unlabelled) images changed since the study 'mine' began"):
        sweep(small, SPACE, range(1), **told)


@pytest.mark.parametrize(
    ("told", "options", "said"),
    [
        ((SHARE,), {"sampler": "random"}, "--sampler random: unknown"),
        ((SHARE,), {"trials": 3}, "belongs to --sampler tpe"),
        ((SHARE,), {"sampler": "tpe", "trials": 0}, "0 trials"),
        ((SHARE,), {"seeds": ()}, "0 seeds"),
        ((SHARE, "method.name=scratch"), {}, r"--space method\.\w+: it has no effect while method\.name = 'scratch'"),
        ((SHARE,), {"study": "a/b"}, "names a folder"),
        ((SHARE,), {"storage": "nonsense"}, "Expected an SQLAlchemy URL"),
        ((SHARE,), {"storage": "oracle+cx_oracle://host/base"}, "No module named 'cx_Oracle'.*its driver installed"),
        ((SHARE,), {"storage": "sqlite:////nowhere/at/all.db"}, "unable to open database file"),
    ],
)
def test_what_does_not_fit_is_refused(
    told: tuple[str, ...], options: dict[str, Any], said: str, tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=said):
        sweep(recipe(tiny_run.folder.path, *told), SPACE, folder=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_every_point_is_checked_before_the_first_training(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"method\.alpha"):
        sweep(recipe(tiny_run.folder.path, SHARE), parse_space(["method.alpha=1,-1"]), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "seeds"),
    [
        (["method.temperature=3,1,2", "method.alpha=0.1,1"], (0, 1, 2)),
        (["train.optimizer.lr=0.001,0.1,0.01"], (0,)),
        (["method.loss=ce,kd", "method.alpha=0.1,1", 'method.sources=["teacher"]', "labels.views=1,2"], (0, 1)),
    ],
)
def test_every_sweep_can_be_drawn(axes: list[str], seeds: tuple[int, ...], swept: Sweep) -> None:
    space = parse_space(axes)
    tried = [Tried(point, {seed: 0.1 * seed + 0.02 * sum(point) for seed in seeds}, "done") for point in space.points()]
    tried[-1] = Tried(tried[-1].point, {}, "diverged", "nan") if len(tried) > 1 else tried[-1]
    found = replace(swept, space=space, seeds=seeds, tried=tuple(tried))
    picture = np.asarray(Image.open(io.BytesIO(draw_sweep(found))).convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
    assert (picture[[0, -1]] == 255).all(), "nothing is cut off at the edge"

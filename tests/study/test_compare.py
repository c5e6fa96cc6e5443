"""Real comparisons of trainings that take less than a second each."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sskt_edge.common.errors import Interrupted, RunError, StudyError
from sskt_edge.common.json import as_json
from sskt_edge.common.lock import locked
from sskt_edge.common.progress import QUIET, Notes
from sskt_edge.data.arrays import ArrayReader
from sskt_edge.recipe import load_recipe
from sskt_edge.study.arms import arms_of
from sskt_edge.study.base import study_sha256, with_train
from sskt_edge.study.compare import Study, compare
from sskt_edge.study.comparison import Comparison
from sskt_edge.study.comparison_text import markdown_of
from sskt_edge.study.runs import training_lock
from sskt_edge.targets.records import write_record
from sskt_edge.targets.run_folder import TrainedNetwork, read_run
from sskt_edge.targets.run_layout import find_runs
from tests.data.small import picture
from tests.sealed import changed
from tests.study.small import epochs_of, no_training, patched, recipe, stop_at_step
from tests.training.labelled import Images


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture
def images(tiny_teacher: TrainedNetwork, tmp_path: Path) -> Images:
    return Images(tmp_path, tiny_teacher)


@pytest.fixture(scope="module")
def compared(tiny_run: TrainedNetwork, studies: Path) -> Comparison:
    return compare(recipe(tiny_run.folder.path), range(2), folder=studies)


def written(found: Comparison) -> list[bytes]:
    return [(found.folder / f"compare.{kind}").read_bytes() for kind in ("json", "md")]


@pytest.mark.slow
def test_the_table_is_what_the_runs_say(compared: Comparison) -> None:
    assert [arm.name for arm in compared.arms] == ["scratch", "sskt"]
    for arm in compared.arms:
        for seed, one in compared.figures[arm.name].items():
            run = read_run(compared.folder / "runs" / one.run)
            assert run.recipe == arm.recipe.model_copy(update={"train": run.recipe.train})
            assert run.recipe.train.seed == seed
            assert one.value == run.result.test.value
    assert len(find_runs(compared.folder / "runs")) == 4


def test_the_files_are_the_comparison(compared: Comparison) -> None:
    json_, markdown = written(compared)
    assert json.loads(json_) == json.loads(json.dumps(as_json(compared)))
    assert markdown.decode() == markdown_of(compared)
    assert (compared.folder / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_trains_nothing_and_says_the_same(
    compared: Comparison, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(compared)
    with no_training(monkeypatch):
        again = compare(compared.recipe, range(2), folder=studies)
    assert written(again) == before
    assert again.figures == compared.figures


def test_the_recipes_own_seed_is_no_other_study(
    compared: Comparison, tiny_run: TrainedNetwork, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_training(monkeypatch):
        again = compare(recipe(tiny_run.folder.path, "train.seed=7"), range(2), folder=studies)
    assert again.figures == compared.figures


@pytest.mark.slow
def test_a_comparison_that_was_stopped_goes_on_and_trains_nothing_twice(
    compared: Comparison, tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps a training: the tenth is within the third. More seeds and an arm are then added to what is there."""
    small = recipe(tiny_run.folder.path)
    with stop_at_step(10, monkeypatch), pytest.raises(Interrupted, match=r"after 2 of 4 .*same command to continue"):
        compare(small, range(2), folder=tmp_path)
    (place,) = tmp_path.iterdir()
    assert json.loads((place / "compare.json").read_bytes())["arms"][1]["n"] == 1
    first = {run.path.name for run in find_runs(place / "runs")}
    assert len(first) == 3
    found = compare(small, range(2), folder=tmp_path)
    arms = arms_of(small, further=["T3: method.temperature=3"])
    more = compare(small, range(3), arms, folder=tmp_path)
    runs = epochs_of(place / "runs")
    assert first < set(runs)
    assert len(runs) == 9
    assert all(epochs == [1] for epochs in runs.values())
    for name in ("scratch", "sskt"):
        accuracies = [{seed: one.value for seed, one in c.figures[name].items()} for c in (compared, found, more)]
        assert accuracies[0] == accuracies[1] == {seed: accuracies[2][seed] for seed in (0, 1)}


def test_a_training_that_another_process_does_waits_and_keeps_its_place(
    compared: Comparison, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process ends when this one waits for it."""
    first = with_train(compared.arms[0].recipe, seed=0, precision=compared.precision)
    other = ExitStack()

    class Told(Notes):
        def say(self, line: str) -> None:
            super().say(line)
            if line.startswith("Waiting for"):
                other.close()

    told = Told()
    with no_training(monkeypatch), other:
        other.enter_context(locked(training_lock(first, compared.folder / "runs"), "trains the same recipe", QUIET))
        again = compare(compared.recipe, range(2), folder=studies, progress=told)
    order = [line.partition(":")[0] for line in told.lines if "seed" in line]
    assert order == ["sskt, seed 0", "scratch, seed 1", "sskt, seed 1", "scratch, seed 0"]
    assert again.as_json() == compared.as_json()
    assert [list(found) for found in again.figures.values()] == [[0, 1], [0, 1]]


@pytest.mark.slow
def test_a_run_that_diverges_is_missing_and_the_others_go_on(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    small = recipe(tiny_run.folder.path)
    arms = arms_of(small, ["scratch"], ["wild: train.optimizer.lr=1e30", "calm: train.optimizer.lr=0.01"])
    found = compare(small, range(1), arms, tmp_path)
    assert set(found.figures) == {"scratch", "calm"}
    assert "not a finite number" in found.failed["wild"][0]
    assert "wild, seed 0, is missing" in (found.folder / "compare.md").read_text()


@pytest.mark.slow
def test_the_test_images_are_read_once_a_run(
    tiny_run: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, reads = ArrayReader.test, 0

    def test(*given: Any) -> Any:
        nonlocal reads
        reads += 1
        return original(*given)

    with patched(monkeypatch, ArrayReader, "test", test):
        compare(recipe(tiny_run.folder.path), range(1), folder=tmp_path)
    assert reads == 2


@pytest.mark.slow
def test_unlabelled_images_take_part_and_their_change_is_noticed(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    small = recipe(tiny_run.folder.path, "data.unlabelled=rest")
    arms = arms_of(small, further=["labelled alone: data.unlabelled="])

    found = compare(small, range(1), arms, tmp_path)

    inputs = {name: runs[0].inputs for name, runs in found.figures.items()}
    assert {name for name, had in inputs.items() if "the unlabelled images" in had} == {"sskt"}
    assert len({had["the training images"] for had in inputs.values()}) == 1
    other = replace(found.figures["sskt"][0], inputs={**inputs["sskt"], "the unlabelled images": "other"})
    with pytest.raises(StudyError, match="the unlabelled images changed"):
        found.having("sskt", 1, other).refuse_unlike()


@pytest.mark.slow
def test_one_precision_holds_for_all_and_is_not_measured_again(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    small = recipe(tiny_run.folder.path, "train.precision=auto")
    first = compare(small, range(1), arms_of(small, ["scratch"]), tmp_path)
    file = first.folder / "study.json"
    assert json.loads(file.read_bytes())["precision"] == first.precision
    other = {"fp32": "bf16", "bf16": "fp32"}[first.precision]
    with changed(file) as kept:
        kept["precision"] = other  # as another machine would have measured
    found = compare(small, range(1), arms_of(small, further=["fixed: train.precision=fp32"]), tmp_path)
    trained = {
        name: load_recipe(str(found.folder / "runs" / runs[0].run / "recipe.toml")).train.precision
        for name, runs in found.figures.items()
    }
    assert trained == {"scratch": other, "sskt": other, "fixed": "fp32"}
    file.write_text("{")
    with pytest.raises(StudyError, match=r"study\.json' is broken"):
        compare(small, range(1), folder=tmp_path)
    # One bit makes bf16 of fp16.
    write_record(file, Study(name="small", recipe_sha256=study_sha256(small), precision="fp16"))
    file.write_bytes(file.read_bytes().replace(b"fp16", b"bf16"))
    with pytest.raises(StudyError, match=r"study\.json' cannot be trusted"):
        compare(small, range(1), folder=tmp_path)


def test_a_run_that_was_changed_is_refused_with_what_to_do(compared: Comparison, studies: Path) -> None:
    run = compared.folder / "runs" / compared.figures["sskt"][1].run
    content = (run / "primary.safetensors").read_bytes()
    (run / "primary.safetensors").write_bytes(content[:-1] + b"\x00")
    try:
        with pytest.raises(RunError, match=f"changed after training.*remove '{run}'"):
            compare(compared.recipe, range(2), folder=studies)
    finally:
        (run / "primary.safetensors").write_bytes(content)


def test_nothing_to_compare_is_said(tiny_run: TrainedNetwork, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="2 arms, 0 seeds"):
        compare(recipe(tiny_run.folder.path), [], folder=tmp_path)
    none = arms_of(recipe(tiny_run.folder.path), ["finetuned"])
    with pytest.raises(StudyError, match="Nothing to compare: finetuned: "):
        compare(recipe(tiny_run.folder.path), arms=none, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", ["train", "test"])
def test_runs_of_other_images_than_are_there_now_are_not_shown(
    part: str, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = images.recipe("train.epochs=1")
    compare(told, range(1), folder=tmp_path / "studies")
    with no_training(monkeypatch):
        compare(told, range(1), folder=tmp_path / "studies")
    changed = min((images.root / part / "a").iterdir())
    Image.fromarray(picture(500)).save(changed)
    with pytest.raises(
        StudyError, match=rf"The {part}\w* images changed since '.*' was trained\. Put them back, or remove"
    ):
        compare(told, range(1), folder=tmp_path / "studies")


def test_runs_that_were_made_otherwise_are_told(compared: Comparison) -> None:
    assert not any("The runs differ in their conditions" in note for note in compared.notes)
    one = compared.figures["sskt"][1]
    other = compared.having("sskt", 1, replace(one, made_with={**one.made_with, "threads": "64"}))
    (note,) = (note for note in other.notes if "The runs differ in their conditions" in note)
    assert note.endswith(f"threads {one.made_with['threads']}, 64.")

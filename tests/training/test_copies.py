"""What a training says and records about its images before the first step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sskt_edge.common.errors import RunError
from sskt_edge.common.progress import Notes
from sskt_edge.recipe import Recipe, parse_recipe
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.targets.run_layout import RunFolder
from sskt_edge.training.environment import read_environment
from sskt_edge.training.train import fit
from tests.data.small import write_classes
from tests.sealed import changed

TEXT = """
name = "own"
data = { name = "imagefolder", root = "%s", image_size = 16, augment = { crop_padding = 1 } }
target = { model = "resnet20" }
method = { name = "scratch" }
train = { device = "cpu", precision = "fp32", epochs = 1, batch_size = 8 }
"""


def own(root: Path, *overrides: str) -> Recipe:
    write_classes(root / "train", {"cat": 5, "dog": 4})
    write_classes(root / "test", {"cat": 2, "dog": 2}, first=50)
    return parse_recipe(TEXT % root, overrides)


def test_copies_and_a_budget_above_the_classes_are_said_and_recorded(tmp_path: Path) -> None:
    recipe = own(tmp_path / "images", "data.per_class=1000")
    shutil.copy(tmp_path / "images/train/cat/000.png", tmp_path / "images/test/cat/again.png")
    shutil.copy(tmp_path / "images/train/cat/001.png", tmp_path / "images/train/dog/again.png")
    progress = Notes()

    run = fit(recipe, tmp_path / "runs", progress=progress)

    (shared,) = [line for line in progress.lines if "test image is a copy" in line]
    (classes,) = [line for line in progress.lines if "another class" in line]
    (short,) = [line for line in progress.lines if "data.per_class" in line]
    assert "test/cat/again.png = train/cat/000.png" in shared
    assert "train/dog/again.png = train/cat/001.png" in classes
    assert "2 of 2 classes" in short
    recorded = json.loads(run.folder.environment.read_text())["copies"]
    assert [(one["part"], one["of"], one["count"]) for one in recorded["shared"]] == [("test", "training", 1)]
    assert recorded["two_classes"]["examples"] == [["train/dog/again.png", "train/cat/001.png"]]


def test_without_copies_nothing_is_said_of_them(tiny_run: TrainedNetwork) -> None:
    copies = read_environment(tiny_run.folder).copies

    assert copies is not None
    assert copies.lines() == []


def test_the_environment_of_a_run_that_did_not_look_for_copies_is_read(
    tiny_run: TrainedNetwork, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    shutil.copy(tiny_run.folder.environment, folder.environment)
    with changed(folder.environment) as older:
        del older["copies"]

    assert read_environment(folder).copies is None
    with changed(folder.environment) as broken:
        broken["copies"] = {"shared": 3}
    with pytest.raises(RunError):
        read_environment(folder)

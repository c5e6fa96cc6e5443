"""The whole way of images with several classes: a table, a run, a bundle, an evaluation, predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sskt_edge.bundle.bundle import open_bundle
from sskt_edge.bundle.manifest import Manifest
from sskt_edge.targets.finished_run import read_finished
from tests.cli.run import Verb

pytestmark = pytest.mark.slow

ORT = ("--backend", "onnxruntime", "--provider", "cpu")
PARTS = {"red": (0, 0), "green": (0, 16), "blue": (16, 0)}
"""Each class is a bright square of its colour, at a place of its own."""

RECIPE = """
name = "squares"
[task]
name = "multi_label"
class_weights = "balanced"
[data]
name = "table"
root = "labels.csv"
image_size = 32
validation = 0.2
augment = { crop_padding = 0, horizontal_flip = false }
[target]
model = "resnet20"
[method]
name = "scratch"
[labels]
views = 1
[train]
device = "cpu"
precision = "fp32"
epochs = 2
batch_size = 16
keep = "best"
[export]
golden = 10
calibration = 20
[export.parity]
fp16_agreement = 0.5
int8_agreement = 0.5
int8_metric_drop = 0.9
"""


def write_squares(folder: Path, count: int = 96) -> None:
    """folder/labels.csv and images of every set of classes; every fourth row is of the test."""
    random = np.random.default_rng(0)
    rows = ["path,classes,split"]
    for number in range(count):
        pixels = random.integers(0, 60, (32, 32, 3))
        names = [name for place, name in enumerate(PARTS) if number >> place & 1]
        for name in names:
            y, x = PARTS[name]
            pixels[y : y + 16, x : x + 16, list(PARTS).index(name)] += 180
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append(f"{number:02}.png,{'|'.join(names)},{'test' if number // 8 % 4 == 0 else 'train'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


class Place:
    """A user's folder with a trained and exported network, and what the verbs said of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trained, self.table = folder, "", ""

    @property
    def bundle(self) -> str:
        (path,) = (self.folder / "bundles").iterdir()
        return f"bundles/{path.name}"

    @property
    def manifest(self) -> Manifest:
        return open_bundle(self.folder / self.bundle).manifest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    found = Place(tmp_path_factory.mktemp("user"))
    write_squares(found.folder)
    (found.folder / "squares.toml").write_text(RECIPE)
    verb = Verb(found.folder)
    code, found.trained, errors = verb("train", "squares.toml")
    assert code == 0, errors
    code, found.table, errors = verb("export", "--precision", "fp32,fp16,int8")
    assert code == 0, errors
    return found


@pytest.fixture
def here(place: Place) -> Verb:
    return Verb(place.folder)


def test_a_training_says_and_keeps_the_map(place: Place) -> None:
    (folder,) = (place.folder / "runs").iterdir()
    run = read_finished(folder)
    assert (run.result.task, run.result.test.metric, run.result.test.images) == ("multi_label", "mAP", 24)
    assert run.result.validation is not None
    assert "test mAP" in place.trained and f"(best validation mAP {run.result.validation:.2%})" in place.trained
    golden = run.golden()
    assert golden.test_labels.dtype == np.int8 and golden.test_labels.shape == (24, 3)
    assert golden.labels.any()


def test_an_export_holds_every_precision_with_its_map(place: Place) -> None:
    manifest = place.manifest
    assert {"fp32", "fp16", "int8"} <= manifest.precisions.keys() and manifest.failures == []
    assert "mAP (95 %)" in place.table and "same decisions" in place.table
    assert manifest.task == "multi_label" and manifest.test is not None
    for record in manifest.precisions.values():
        for one in record.measured:
            assert one.images == manifest.test.images == 24
            assert one.interval[0] <= one.value <= one.interval[1]
    fp32 = manifest.precisions["fp32"].measured[0]
    assert fp32.value == pytest.approx(manifest.test.value) and fp32.agreement == 1.0


def test_the_bundle_holds_on_the_golden_images_and_on_its_table(place: Place, here: Verb) -> None:
    code, said, errors = here("eval", place.bundle, "--data", "labels.csv", *ORT, "--json")
    assert code == 0, errors
    report = json.loads(said)
    assert report["task"] == "multi_label" and report["data"] == report["parity_on"] == "labels.csv"
    for one in report["results"]:
        assert (one["scores"]["metric"], one["scores"]["images"], one["parity"]["decisions"]) == ("mAP", 24, 72)
    (fp32,) = (one["scores"] for one in report["results"] if one["precision"] == "fp32")
    assert place.manifest.test is not None and fp32["value"] == pytest.approx(place.manifest.test.value)
    code, said, errors = here("eval", place.bundle, *ORT)
    assert code == 0, errors
    assert "average precision" in said and "--data TABLE" in said and "mAP VOC2007" in said


def test_predict_marks_what_the_network_decides(place: Place, here: Verb) -> None:
    _, said, _ = here("predict", place.bundle, "07.png", "08.png", "--top", "1", "--json")
    for one in json.loads(said)["images"]:
        assert one["decided"] == [name for name, share in one["classes"].items() if share > 0.5]
        assert set(one["classes"]) <= set(place.manifest.classes)
    _, table, _ = here("predict", place.bundle, "07.png", "08.png", "--top", "3")
    assert table.count(" *") == sum(len(one["decided"]) for one in json.loads(said)["images"])


def test_a_network_of_several_classes_an_image_is_no_source(place: Place, here: Verb) -> None:
    (run,) = (place.folder / "runs").iterdir()
    text = RECIPE.replace('name = "scratch"', 'name = "sskt"')
    taught = text + f'[[sources]]\nname = "squares"\nmodel = "run/runs/{run.name}"\n'
    (place.folder / "taught.toml").write_text(taught)
    code, _, errors = here("train", "taught.toml")
    assert code == 2 and "Name a run with one class per image" in errors
    assert len(list((place.folder / "runs").iterdir())) == 1


def test_validation_images_without_a_class_are_refused_at_once(tmp_path: Path) -> None:
    write_squares(tmp_path)
    head, *rows = (tmp_path / "labels.csv").read_text().splitlines()
    none = [f"{row.split(',')[0]},,train" if number >= 24 else row for number, row in enumerate(rows)]
    (tmp_path / "labels.csv").write_text("\n".join([head, *none]) + "\n")
    (tmp_path / "squares.toml").write_text(RECIPE.replace("validation = 0.2", 'validation = "rest"\nper_class = 20'))
    code, _, errors = Verb(tmp_path)("train", "squares.toml")
    assert code == 2 and "has a class, so they cannot choose anything" in errors
    assert not (tmp_path / "runs").exists()

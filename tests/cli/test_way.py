"""The whole way by the command line: a folder of images, a recipe for it, a run, a bundle, an evaluation."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image
from sklearn.datasets import load_digits

from sskt_edge.bundle.bundle import MANIFEST
from sskt_edge.recipe import parse_recipe
from tests.cli.run import Verb, sskt_edge
from tests.sealed import changed

pytestmark = pytest.mark.slow


def write_digits(root: Path, per_class: int) -> None:
    """scikit-learn's digits 0, 1 and 2 as PNG files, in one folder a class."""
    images, labels = load_digits(return_X_y=True)
    for label in range(3):
        folder = root / f"digit {label}"
        folder.mkdir(parents=True)
        for number, flat in enumerate(images[labels == label][:per_class]):
            image = Image.fromarray((flat.reshape(8, 8) * 15).astype(np.uint8))
            image.resize((40, 32)).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a user has written a recipe, trained it and exported the run."""
    cwd = tmp_path_factory.mktemp("user")
    write_digits(cwd / "my photos", 25)
    for words in (
        ("recipe", "new", "--data", "my photos", "--out", "mine.toml", "--target", "resnet20"),
        ("train", "mine.toml", "--set", "train.epochs=12", "--set", "labels.views=1", "--set", "train.batch_size=20"),
        ("export",),
    ):
        code, said, errors = Verb(cwd)(*words)
        assert code == 0, errors
        assert "next: sskt-edge" in said
    return cwd


@pytest.fixture
def here(place: Path) -> Verb:
    """Runs verbs in the user's folder."""
    return Verb(place)


def test_the_new_recipe_says_what_the_folder_holds(place: Path) -> None:
    text = (place / "mine.toml").read_text()
    assert "75 images in 3 classes" in text
    assert parse_recipe(text).data.root == "my photos"


def test_a_new_recipe_overwrites_nothing(here: Verb) -> None:
    code, _, errors = here("recipe", "new", "--data", "my photos", "--out", "mine.toml")
    assert (code, "not overwritten" in errors) == (2, True), errors


def test_eval_finds_the_newest_bundle_and_it_holds(place: Path) -> None:
    done = sskt_edge("eval", "--backend", "onnxruntime", "--provider", "cpu", "--threads", "1", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "evaluating the newest bundle, bundles" in done.stderr
    assert "holds on this machine" in done.stdout
    assert "fp32      onnxruntime-cpu" in done.stdout and "100.00%" in done.stdout


def test_eval_of_the_folder_knows_the_test_images_in_it(place: Path, here: Verb) -> None:
    (bundle,) = (place / "bundles").iterdir()
    _, said, _ = here("eval", str(bundle), "--data", "my photos", "--json")
    report = json.loads(said)
    for result in report["results"]:
        assert result["scores"]["images"] == 75
        assert result["parity"]["images"] == 15  # a fifth was held out
        assert np.sum(result["scores"]["confusion"]) == 75
    difference = {(one["precision"], one["runner"]): one["parity"]["max_abs"] for one in report["results"]}
    assert difference["fp32", "onnxruntime-cpu"] <= 1e-4


def test_eval_fails_with_1_and_the_tolerance_that_would_pass(place: Path, verb: Verb, tmp_path: Path) -> None:
    """A golden set of another network, with a manifest that agrees with it."""
    (bundle,) = (place / "bundles").iterdir()
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    arrays = safetensors.numpy.load((other / "golden.safetensors").read_bytes())
    arrays["logits"] = arrays["logits"] + np.float32(0.25)
    content = safetensors.numpy.save(arrays)
    (other / "golden.safetensors").write_bytes(content)
    with changed(other / MANIFEST) as manifest:
        manifest["files"]["golden.safetensors"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    code, said, _ = verb("eval", "other")
    assert (code, "does NOT hold" in said) == (1, True), said
    assert "--set export.parity.fp32_difference.onnxruntime_cpu=" in said
    assert "sskt-edge doctor" in said and "sskt-edge predict" not in said


def test_a_changed_bundle_is_refused(place: Path, verb: Verb, tmp_path: Path) -> None:
    (bundle,) = (place / "bundles").iterdir()
    shutil.copytree(bundle, tmp_path / "cut")
    file = tmp_path / "cut" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    code, _, errors = verb("eval", "cut")
    assert (code, "truncated or changed" in errors) == (2, True), errors


def test_predict_names_the_class(place: Path, here: Verb) -> None:
    (bundle,) = (place / "bundles").iterdir()
    image = "my photos/digit 0/0.png"
    _, said, _ = here("predict", str(bundle), image, "--json")
    (answer,) = json.loads(said)["images"]
    assert answer["image"] == image
    assert sum(answer["classes"].values()) == pytest.approx(1, abs=1e-6)
    _, table, _ = here("predict", str(bundle), image)
    likeliest = max(answer["classes"], key=answer["classes"].__getitem__)
    assert f"{likeliest} {answer['classes'][likeliest]:.1%}" in table


def test_predict_of_a_file_that_is_no_image_names_it(place: Path, here: Verb) -> None:
    (bundle,) = (place / "bundles").iterdir()
    code, _, errors = here("predict", str(bundle), "mine.toml")
    assert (code, "'mine.toml' is not an image" in errors) == (2, True), errors


def test_export_again_gives_the_same_network_and_keeps_the_precisions(place: Path, here: Verb) -> None:
    (bundle,) = (place / "bundles").iterdir()
    before = (bundle / "model.onnx").read_bytes()
    precisions = list(json.loads((bundle / MANIFEST).read_text())["precisions"])
    _, answer, _ = here("export", "--precision", "fp32", "--json")
    said = json.loads(answer)
    assert said["bundle"] == f"bundles/{bundle.name}" and "kept in" in " ".join(said["notes"])
    assert (bundle / "model.onnx").read_bytes() == before
    assert list(said["precisions"]) == precisions != ["fp32"]
    assert [path.name for path in (place / "bundles").iterdir()] == [bundle.name]


def test_export_does_not_overwrite_what_is_no_bundle(here: Verb) -> None:
    code, _, errors = here("export", "--out", "my photos")
    assert (code, "is not a bundle" in errors) == (2, True), errors


def test_train_with_json_gives_the_result(place: Path, here: Verb) -> None:
    told = ("--set", "train.epochs=1", "--set", "method.name=scratch", "--runs", "others")
    _, said, errors = here("train", "mine.toml", *told, "--json")
    result = json.loads(said)
    assert (place / result["run"] / "result.json").is_file()
    assert result["test"]["images"] == 15
    assert errors == ""

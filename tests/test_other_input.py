"""Another kind of input, from a recipe to a bundle that is evaluated: three entries, and nothing else knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import sskt_edge
from sskt_edge.bundle.bundle import Bundle
from sskt_edge.common.errors import DataError, NetworkError, RecipeError
from sskt_edge.common.progress import QUIET
from sskt_edge.data.check import check_data
from sskt_edge.data.inputs.input import ViewPolicy
from sskt_edge.data.readers import open_data
from sskt_edge.evaluation.bench_bundle import bench_bundle
from sskt_edge.evaluation.effort import Exactly
from sskt_edge.evaluation.evaluate import evaluate
from sskt_edge.inference.open_sessions import open_sessions
from sskt_edge.recipe import Recipe, parse_recipe
from sskt_edge.recipe.models import SourceOptions
from sskt_edge.sources.view_schedule import LabelPlan, ViewSchedule
from sskt_edge.sources.zoo import open_source
from sskt_edge.targets.reference import reference_logits
from sskt_edge.targets.run_folder import TrainedNetwork
from sskt_edge.tasks.single_label import SINGLE_LABEL
from tests.clips import CLIP, FRAMES, SIZE, add_clips, clips
from tests.sources.small import CPU

RECIPE = """
name = "brightness"
[data]
name = "clips"
augment = { crop_padding = 2 }
[target]
model = "small3d"
[method]
name = "scratch"
[train]
device = "cpu"
precision = "fp32"
epochs = 3
batch_size = 16
optimizer = { name = "sgd", lr = 0.05 }
[export]
golden = 12
calibration = 32
batch = { min = 1, opt = 2, max = 8 }
"""


@pytest.fixture(scope="module", autouse=True)
def _catalogue() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        add_clips(patch)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    return sskt_edge.train(recipe(), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def bundle(run: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return sskt_edge.export(run, tmp_path_factory.mktemp("bundles") / "brightness")


def recipe(*overrides: str) -> Recipe:
    return parse_recipe(RECIPE, overrides)


def test_a_target_learns_from_clips(run: TrainedNetwork) -> None:
    assert (run.kind, run.shape) == ("clip", (FRAMES, SIZE, SIZE, 3))
    assert run.result.test.value > 0.9
    seen, labels = clips(20, seed=7)
    assert (reference_logits(run.network, run.pixels, seen).argmax(axis=1) == labels).mean() > 0.9


def test_a_training_that_is_repeated_gives_the_same_weights(run: TrainedNetwork, tmp_path: Path) -> None:
    assert sskt_edge.train(recipe(), tmp_path).weights_sha256 == run.weights_sha256


def test_clips_are_changed_and_mixed_and_averaged_too(run: TrainedNetwork, tmp_path: Path) -> None:
    mixing, changes = "train.mixing={mixup=0.2, cutmix=1}", "train.input={brightness=0.2, erasing=0.5}"
    changed = sskt_edge.train(recipe(mixing, changes, "train.ema=0.5", "train.epochs=1"), tmp_path)
    assert changed.weights_sha256 != run.weights_sha256 and np.isfinite(changed.golden().logits).all()


@pytest.mark.slow
def test_every_precision_is_exported_and_holds(bundle: Bundle) -> None:
    takes = bundle.manifest.input
    assert (takes.kind, takes.shape) == ("clip", (FRAMES, SIZE, SIZE, 3))
    assert {"fp32", "fp16", "int8"} <= set(bundle.manifest.precisions) and not bundle.manifest.failures
    int8 = bundle.manifest.precisions["int8"].calibration
    assert int8 is not None and (int8.layers, int8.kept) == (3, [])  # two 3D convolutions and the last layer
    report = evaluate(bundle, open_sessions(bundle, provider="cpu", threads=1))
    assert report.passed and {result.parity.images for result in report.results} == {12}
    assert {"fp32 onnxruntime-cpu", "int8 openvino-cpu"} <= {result.name for result in report.results}


@pytest.mark.slow
def test_it_is_benched_without_the_reading_of_files(bundle: Bundle) -> None:
    found = bench_bundle(bundle, "fp32", "onnxruntime", "cpu", batches=[1, 2], effort=Exactly(1))
    assert [one.batch for one in found.measurements] == [1, 2] and found.preprocessing is None


def test_soft_labels_have_the_inputs_own_views() -> None:
    images, _ = open_data(recipe().data).training([SIZE], QUIET)
    schedule = ViewSchedule(images, LabelPlan(CLIP, ViewPolicy(SIZE, padding=2), 0, "fresh", 4), passes=3)
    views = schedule.views(schedule.slots_of(1))
    np.testing.assert_array_equal(views, CLIP.draw(images.hashes, schedule.plan.policy, 0, 1))
    assert views.shape == (96, CLIP.view_length) and set(views[:, -1]) == {0, 1}
    assert len(schedule.keys) == 3 * 96 and len(schedule.distinct) > 2 * 96


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["target.model=resnet20"], r"target\.model.*clip.*small3d"),
        (["data.name=digits"], r"target\.model = 'small3d' takes input of kind clip.*resnet20"),
        (["method.name=sskt"], r"sources\.teacher\.view.*clip.*none"),
    ],
    ids=["a target of images", "images for it", "a source"],
)
def test_what_takes_another_input_is_refused_by_name(overrides: list[str], said: str) -> None:
    source = '[[sources]]\nname = "teacher"\nmodel = "torchvision/resnet50"\n'
    with pytest.raises(RecipeError, match=said):
        parse_recipe(RECIPE + source, overrides)


def test_a_network_for_clips_is_no_source_of_images(run: TrainedNetwork) -> None:
    with pytest.raises(NetworkError, match=r"'teacher'.*'clip'"):
        open_source(SourceOptions(name="teacher", model=f"run/{run.folder.path}"), CPU)


def test_what_is_for_images_alone_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'clip'"):
        open_data(recipe(f"data.unlabelled={tmp_path}").data)
    with pytest.raises(DataError, match="--near"):
        check_data(recipe().data, SINGLE_LABEL, 8, QUIET)
    assert check_data(recipe().data, SINGLE_LABEL, 0, QUIET).passed
